import type { Picture } from "./query.ts";

/** Bytes. Photos above it are made smaller before they travel; an encoder looks at a few hundred pixels a side. */
const SEND_AS_IT_IS = 512 * 2 ** 10;
const LONGEST_SIDE = 1_200;
const UPLOAD_LIMIT = 10 * 2 ** 20;

export type PictureFault = "notAPicture" | "emptyPicture" | "tooLargePicture" | "unreadablePicture";

/** The chosen file cannot be searched by; `fault` is the entry of the dictionary that says why. */
export class PictureError extends Error {
  readonly fault: PictureFault;
  readonly file: string;

  constructor(fault: PictureFault, file: string) {
    super(`${fault}: ${file}`);
    this.fault = fault;
    this.file = file;
  }
}

/** Read a chosen, dropped or pasted file, and make it smaller where it is large. Throws `PictureError`. */
export async function preparePicture(file: File, shrink = shrinkOnCanvas): Promise<Picture> {
  const name = file.name || "picture";
  if (file.type && !file.type.startsWith("image/")) throw new PictureError("notAPicture", name);
  if (file.size === 0) throw new PictureError("emptyPicture", name);
  const blob = file.size > SEND_AS_IT_IS ? await shrink(file).catch(() => file) : file;
  if (blob.size > UPLOAD_LIMIT) throw new PictureError("tooLargePicture", name);
  const bytes = await blob.arrayBuffer().catch(() => {
    throw new PictureError("unreadablePicture", name);
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
