import type { Runtime, Session, TensorValue } from '#engine/runtime/runtime.ts';

/** A runtime that calls `onRun` before each run of its sessions. */
export function watchRuns(
  runtime: Runtime,
  onRun: (session: Session, inputs: Readonly<Record<string, TensorValue>>) => void,
): Runtime {
  return {
    ...runtime,
    async createSession(...made) {
      const session = await runtime.createSession(...made);
      return {
        ...session,
        run(inputs) {
          onRun(session, inputs);
          return session.run(inputs);
        },
      };
    },
  };
}
