import { expect, test } from "vitest";
import { PictureError, preparePicture } from "./prepare-picture.ts";

const MIB = 2 ** 20;
const file = (size: number, type = "image/png", name = "cat.png") => new File([new Uint8Array(size)], name, { type });
const never = () => Promise.reject(new Error("not to be called"));

test("a small picture is sent as it is, byte for byte", async () => {
  const picture = await preparePicture(new File([new Uint8Array([1, 2, 3])], "cat.png", { type: "image/png" }), never);
  expect(picture).toMatchObject({ name: "cat.png", type: "image/png" });
  expect([...new Uint8Array(picture.bytes)]).toEqual([1, 2, 3]);
});

test("a large photo is made smaller first", async () => {
  const picture = await preparePicture(file(3 * MIB), async () => new Blob(["small"], { type: "image/webp" }));
  expect(picture.type).toBe("image/webp");
  expect(picture.bytes.byteLength).toBe(5);
});

test("a large picture that the browser cannot draw goes as it is, for the service to judge", async () => {
  expect((await preparePicture(file(3 * MIB), never)).bytes.byteLength).toBe(3 * MIB);
});

test.each([
  [file(11 * MIB), "tooLargePicture"],
  [file(0), "emptyPicture"],
  [file(9, "application/pdf", "letter.pdf"), "notAPicture"],
])("what cannot be searched by is refused with a reason (%#)", async (given, fault) => {
  const refused = preparePicture(given, never);
  await expect(refused).rejects.toBeInstanceOf(PictureError);
  await expect(refused).rejects.toMatchObject({ fault, file: given.name });
});

test("two uploads of one file are two pictures, so that each can be searched anew", async () => {
  const [one, other] = await Promise.all([preparePicture(file(3)), preparePicture(file(3))]);
  expect(one.id).not.toBe(other.id);
});
