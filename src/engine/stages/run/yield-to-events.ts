/**
 * Lets waiting messages in: a run of the wasm provider comes back without ever leaving the microtask queue, so that
 * without this a worker would hear of a cancellation only when its job is done.
 */
export function yieldToEvents(): Promise<void> {
  return new Promise((resolve) => {
    // A timer would do, but browsers make nested timers wait four milliseconds.
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}
