import type { Picture } from "./search-params.ts";

/** Bytes. Photos above it are made smaller before they travel; an encoder looks at a few hundred pixels a side. */
const SEND_AS_IT_IS = 2 * 2 ** 20;
const LONGEST_SIDE = 1_600;
const UPLOAD_LIMIT = 10 * 2 ** 20;

/** The chosen file cannot be searched by; the message says why, for people. */
export class PictureError extends Error {}

/** Read a chosen, dropped or pasted file, and make it smaller where it is large. Throws `PictureError`. */
export async function preparePicture(file: File, shrink = shrinkOnCanvas): Promise<Picture> {
  const name = file.name || "picture";
  if (file.type && !file.type.startsWith("image/")) throw new PictureError(`${name} is not a picture.`);
  if (file.size === 0) throw new PictureError(`${name} is empty.`);
  const blob = file.size > SEND_AS_IT_IS ? await shrink(file).catch(() => file) : file;
  if (blob.size > UPLOAD_LIMIT) throw new PictureError(`${name} is too large: at most 10 MiB can be sent.`);
  const bytes = await blob.arrayBuffer().catch(() => {
    throw new PictureError(`${name} cannot be read.`);
  });
  return { id: `${Date.now()}-${Math.random()}`, name, type: blob.type, bytes };
}

async function shrinkOnCanvas(file: Blob): Promise<Blob> {
  const bitmap = await createImageBitmap(file);
  const scale = Math.min(1, LONGEST_SIDE / Math.max(bitmap.width, bitmap.height));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(bitmap.width * scale);
  canvas.height = Math.round(bitmap.height * scale);
  canvas.getContext("2d")?.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return new Promise((resolve, reject) =>
    canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error("nothing drawn"))), "image/webp", 0.9),
  );
}
