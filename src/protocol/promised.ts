/** Functions as they are over a port: each answers with a promise. */
export type Promised<Calls> = {
  [Name in keyof Calls]: Calls[Name] extends (...values: infer Values) => infer Answer
    ? (...values: Values) => Promise<Awaited<Answer>>
    : never;
};
