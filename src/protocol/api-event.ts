/** The name of the BroadcastChannel on which the service worker reports the requests it answers. */
export const API_CHANNEL = 'vitrine-api';

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
  /** Milliseconds from start to end. */
  ms: number;
  responseBytes: number;
}
