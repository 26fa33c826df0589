/** The tags that image generators use, of files that have no text chunks. */
export interface ExifText {
  /** Tag 0x9286 of the Exif directory: the infotext. */
  userComment?: string;
  /** Tag 0x927c of the Exif directory: Fooocus's metadata scheme. */
  makerNote?: string;
  /** Tag 0x0131. */
  software?: string;
}

/** Numbers of the tags (Exif 2.32, §4.6). */
export const EXIF_TAG = {
  software: 0x0131,
  exifDirectory: 0x8769,
  makerNote: 0x927c,
  userComment: 0x9286,
} as const;

/** Field types of TIFF 6. */
export const ASCII = 2;
export const LONG = 4;
export const UNDEFINED = 7;

/** In front of the TIFF data in a JPEG file: `Exif` and two zeros. */
export const EXIF_HEADER: Uint8Array = Uint8Array.of(0x45, 0x78, 0x69, 0x66, 0, 0);
