/** Settings are flat JSON values under the names the dialects give them (A1111's option keys), or `app.*`. */
export type SettingValue = string | number | boolean | null | readonly (string | number | boolean | null)[];

/** Only what differs from a dialect's defaults is stored. */
export type Settings = Readonly<Record<string, SettingValue>>;
