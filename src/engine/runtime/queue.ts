/**
 * Runs tasks one after another, in the order they were added. A failed task does not stop the next.
 */
export interface TaskQueue {
  add<T>(task: () => Promise<T>): Promise<T>;
}

export function createTaskQueue(): TaskQueue {
  let last: Promise<unknown> = Promise.resolve();
  return {
    add(task) {
      const result = last.then(task);
      last = result.catch(() => undefined);
      return result;
    },
  };
}
