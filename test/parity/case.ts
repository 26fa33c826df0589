/** One comparison with a reference program. */
export interface ParityCase {
  /** `kind/name`, such as `schedulers/EulerDiscreteScheduler karras 12`. */
  name: string;
  error: number;
  tolerance: number;
  /** False for what the engine does not claim to do; says so loudly, and fails nothing. */
  supported: boolean;
  note?: string;
}

/** Finds the reference files of one kind in a folder and runs their cases. */
export type ParitySuite = (folder: string) => AsyncGenerator<ParityCase>;
