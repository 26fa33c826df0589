/** The name of the BroadcastChannel on which the service worker reports the requests it answers. */
export const API_CHANNEL = 'vitrine-api';

/** A request with this header is not reported: the app's own, which nobody needs to read about. */
export const UNREPORTED_HEADER = 'X-Vitrine-Unreported';

/** What is sent on {@link API_CHANNEL}. */
export type ApiMessage = ApiEvent | ApiBodies;

/** A request answered by the API, when it comes and when its answer is complete. */
export type ApiEvent = ApiRequestStart | ApiRequestEnd;

interface ApiRequest {
  /** The same for start and end. */
  id: string;
  method: string;
  path: string;
  /** The dialect's name. */
  dialect: string;
  /** Epoch milliseconds. */
  at: number;
  requestBytes: number;
}

export interface ApiRequestStart extends ApiRequest {
  phase: 'start';
}

export interface ApiRequestEnd extends ApiRequest {
  phase: 'end';
  status: number;
  /** The upstream's host; null for this tab. */
  answeredBy: string | null;
  /** Milliseconds from start to end. */
  ms: number;
  responseBytes: number;
}

/** What a request and its answer carried; comes after the end. */
export interface ApiBodies {
  phase: 'bodies';
  /** The request's. */
  id: string;
  /** The path with its query, below the app's own and without the prefix of a dialect. */
  target: string;
  requestType: string | null;
  /** Null for none, and for one that was not read. */
  request: Blob | null;
  /** Null for one that is too large to be kept, or streamed. */
  response: Blob | null;
  /** Where the request would go without this app. */
  service: { url: string; keyPlace: KeyPlace } | null;
}

/** Where a service reads its key. `key` is its body's field of this name. */
export type KeyPlace = 'basic' | 'bearer' | 'x-api-key' | 'body';
