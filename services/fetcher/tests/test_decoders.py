"""Whatever a picture does to its decoder, it costs that picture only. `eval` is the decoder, the pictures say what it does."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from imagesearch_contract.dead_letter import Reason
from imagesearch_fetcher.decode import decode
from imagesearch_fetcher.decoders import Submit, decoders
from imagesearch_fetcher.errors import DecodeError
from PIL import Image, ImageChops

GOOD = b"__import__('PIL.Image').Image.new('RGB', (3, 2), 'red')"
PID = b"__import__('PIL.Image').Image.new('RGB', (__import__('os').getpid(), 1))"
"""A picture as wide as the number of the process that made it."""

HANGS = {
    "waits": b"__import__('time').sleep(600)",
    "calculates": b"all(True for _ in iter(int, 1))",
    "calculates in C": b"__import__('re').match('(a+)+b', 'a' * 60)",
}
CRASHES = {
    "aborts": b"__import__('os').abort()",
    "reads where nothing is": b"__import__('ctypes').string_at(0)",
    "is killed": b"__import__('os').kill(__import__('os').getpid(), 9)",
    "leaves": b"__import__('os')._exit(0)",
    "leaves in the middle of an answer": (
        b"(__import__('os').write(int(__import__('sys').argv[1]), b'\\0\\0\\1\\0P'), __import__('os').abort())"
    ),
    "raises what it should not": b"1 / 0",
}


@pytest.fixture(scope="module")
def submit() -> Iterator[Submit]:
    with decoders(eval, workers=2, seconds=2, memory_bytes=100_000_000) as submit:  # type: ignore[arg-type]
        yield submit


def jpeg(image: Image.Image) -> bytes:
    out = BytesIO()
    image.save(out, "JPEG")
    return out.getvalue()


def error(submit: Submit, data: bytes) -> DecodeError:
    with pytest.raises(DecodeError) as caught:
        submit(data).result()
    return caught.value


def test_a_picture_comes_back_as_it_was_decoded() -> None:
    picture = jpeg(Image.effect_noise((640, 427), 60).convert("RGB"))
    with decoders(partial(decode, max_pixels=1_000_000, min_side=200), workers=2) as submit:
        futures = [submit(picture) for _ in range(10)]
        here = decode(picture, 1_000_000, min_side=200)
        for future in futures:
            assert future.result().mode == "RGB"
            assert ImageChops.difference(future.result(), here).getbbox() is None


def test_a_refusal_comes_back_with_its_reason() -> None:
    with decoders(partial(decode, max_pixels=100), workers=1) as submit:
        large, page = error(submit, jpeg(Image.new("RGB", (11, 10)))), error(submit, b"<html>")
    assert (large.reason, page.reason) == (Reason.DECOMPRESSION_BOMB, Reason.NOT_AN_IMAGE)
    assert "11 x 10" in large.detail


@pytest.mark.parametrize("name", HANGS)
def test_a_decoder_that_takes_too_long_is_stopped(submit: Submit, name: str) -> None:
    hanging, neighbour = submit(HANGS[name]), submit(GOOD)
    assert neighbour.result().size == (3, 2)
    with pytest.raises(DecodeError, match="longer than 2 s") as caught:
        hanging.result()
    assert caught.value.reason is Reason.DECOMPRESSION_BOMB
    assert submit(GOOD).result().getpixel((0, 0)) == (255, 0, 0)


@pytest.mark.parametrize("name", CRASHES)
def test_a_decoder_that_dies_costs_its_picture_only(submit: Submit, name: str) -> None:
    crashing, neighbours = submit(CRASHES[name]), [submit(GOOD) for _ in range(4)]
    assert [each.result().size for each in neighbours] == [(3, 2)] * 4
    with pytest.raises(DecodeError, match="died, twice") as caught:
        crashing.result()
    assert caught.value.reason is Reason.DECOMPRESSION_BOMB
    assert [each.result().size for each in [submit(GOOD) for _ in range(4)]] == [(3, 2)] * 4


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel has no such limit")
@pytest.mark.parametrize("size", ["2 * 10**8", "2**45"])
def test_a_decoder_that_wants_too_much_memory_does_not_get_it(submit: Submit, size: str) -> None:
    died = error(submit, f"bytes({size})".encode())
    assert (died.reason, died.detail) == (Reason.DECOMPRESSION_BOMB, "needs more memory than a picture is given")
    assert submit(GOOD).result().size == (3, 2)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel has no such limit")
@pytest.mark.parametrize("format", ["JPEG", "PNG", "GIF"])  # libwebp does not say why it fails
def test_a_picture_that_its_decoder_has_no_memory_for_is_called_a_bomb(format: str) -> None:
    out = BytesIO()
    Image.new("RGB", (5000, 5000)).save(out, format)
    with decoders(partial(decode, max_pixels=40_000_000), workers=1, memory_bytes=60_000_000) as submit:
        assert error(submit, out.getvalue()).reason is Reason.DECOMPRESSION_BOMB
        assert submit(jpeg(Image.new("RGB", (8, 8)))).result().size == (8, 8)


def test_a_process_that_died_of_something_else_costs_no_picture() -> None:
    with decoders(eval, workers=1) as submit:  # type: ignore[arg-type]
        os.kill(submit(PID).result().width, signal.SIGKILL)
        assert submit(GOOD).result().size == (3, 2)


def test_a_process_is_replaced_after_so_many_pictures() -> None:
    with decoders(eval, workers=1, pictures=3) as submit:  # type: ignore[arg-type]
        one, two, three, four = (submit(PID).result().width for _ in range(4))
    assert one == two == three != four


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_pictures() -> None:
    picture = jpeg(Image.effect_noise((1200, 900), 60).convert("RGB"))
    with decoders(_decode_beside_its_number, workers=1) as submit:
        pid = submit(b"").result().width

        def after(pictures: int) -> int:
            for future in [submit(picture) for _ in range(pictures)]:
                future.result()
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

        assert after(150) - after(20) < 5_000_000


def _decode_beside_its_number(data: bytes) -> Image.Image:
    return decode(data, 40_000_000, min_side=224) if data else Image.new("RGB", (os.getpid(), 1))


def test_processes_end_with_their_pool() -> None:
    with decoders(eval, workers=2) as submit:  # type: ignore[arg-type]
        pids = {submit(PID).result().width for _ in range(4)}
    assert len(pids) == 2
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_processes_end_with_a_caller_that_is_killed() -> None:
    script = (
        "import time; from imagesearch_fetcher.decoders import decoders\n"
        f"with decoders(eval, workers=1) as submit: print(submit({PID!r}).result().width, flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as caller:
        assert caller.stdout
        pid = int(caller.stdout.readline())
        caller.kill()
    while Path(f"/proc/{pid}").exists() and b"decoders" in Path(f"/proc/{pid}/cmdline").read_bytes():
        time.sleep(0.01)  # the test's own timeout ends it


class Unwelcome:
    """What cannot be loaded where it arrives."""

    def __reduce__(self) -> tuple[object, tuple[int]]:
        return sys.exit, (3,)


def test_processes_that_cannot_start_are_no_picture_s_fault() -> None:
    with decoders(Unwelcome(), workers=1) as submit, pytest.raises(RuntimeError, match="exit status 3"):  # type: ignore[arg-type]
        submit(GOOD).result()
