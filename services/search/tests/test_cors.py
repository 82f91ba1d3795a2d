"""Pages of other origins: not let in, unless the settings name them."""

import pytest
from imagesearch_contract.settings import SearchSettings, SettingsError

THEIRS = "https://pictures.example.org"


async def preflight(api, origin, headers="authorization,content-type,x-request-timeout"):
    return await api.options(
        "/text_search",
        headers={
            "Origin": origin,
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": headers,
        },
    )


async def test_by_default_no_origin_is_let_in(api):
    answers = [await preflight(api, THEIRS), await api.get("/collections", headers={"Origin": THEIRS})]

    assert not any(name.startswith("access-control") for answer in answers for name in answer.headers)
    assert answers[0].status_code == 405


class TestNamed:
    @pytest.fixture
    def settings(self, tmp_path):
        (tmp_path / "keys.yaml").write_text("keys: []")
        return SearchSettings(
            cors_allowed_origins=(THEIRS,), access_keys_path=tmp_path / "keys.yaml", requests_per_minute=1
        )

    async def test_an_origin_that_is_named_may_ask_with_a_key(self, api):
        answer = await preflight(api, THEIRS)

        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == THEIRS
        assert "POST" in answer.headers["access-control-allow-methods"]
        assert "access-control-allow-credentials" not in answer.headers

    async def test_it_can_read_refusals_and_what_they_tell(self, api):
        for status in (401, 429):
            answer = await api.get("/collections", headers={"Origin": THEIRS})
            assert answer.status_code == status
            assert answer.headers["access-control-allow-origin"] == THEIRS
            assert "Retry-After" in answer.headers["access-control-expose-headers"]

    @pytest.mark.parametrize(
        "origin", ["https://evil.example", "null", f"{THEIRS}.evil.example", "http://pictures.example.org"]
    )
    async def test_others_are_not(self, api, origin):
        for answer in (await preflight(api, origin), await api.get("/collections", headers={"Origin": origin})):
            assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("origin", ["pictures.example.org", f"{THEIRS}/", "https://*.example.org", "ftp://a", "null"])
def test_what_is_no_origin_is_refused_at_the_start(origin):
    with pytest.raises(SettingsError, match=r"IMAGESEARCH_CORS_ALLOWED_ORIGINS: .*no origin such as"):
        SearchSettings.from_env({"IMAGESEARCH_CORS_ALLOWED_ORIGINS": origin})


def test_a_proxy_that_is_no_network_is_refused_at_the_start():
    with pytest.raises(SettingsError, match="IMAGESEARCH_TRUSTED_PROXIES"):
        SearchSettings.from_env({"IMAGESEARCH_TRUSTED_PROXIES": "10.0.0.1/8"})
