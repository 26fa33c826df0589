/** The answer to what is done, or begun. */
export interface Done {
  status: 'success';
  message: string;
}

export function done(message: string): Done {
  return { status: 'success', message };
}
