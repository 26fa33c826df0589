/** JSON allows white space before a value: one blank now and then keeps the browser waiting for the rest. */
const BLANK = new TextEncoder().encode(' ');

export interface LateAnswer {
  /** Resolves when the answer has to begin, whether its status is known or not. Never rejects. */
  begin: Promise<void>;
  /** Milliseconds between blanks. */
  everyMs: number;
  /** Sent with a late answer, when it begins. */
  headers: () => HeadersInit;
  /** The client has gone while the late answer was under way. */
  onAbandon: () => void;
}

/**
 * The answer itself when it comes in time; otherwise a 200 whose body is white space until the answer's JSON
 * follows. A failure that comes late is the error's JSON under that 200.
 * @param work never rejects
 */
export async function answerInTime(work: Promise<Response>, late: LateAnswer): Promise<Response> {
  const inTime = await Promise.race([work, late.begin]);
  return inTime ?? new Response(streamLate(work, late), { headers: late.headers() });
}

function streamLate(work: Promise<Response>, late: LateAnswer): ReadableStream<Uint8Array> {
  let beat: ReturnType<typeof setInterval> | undefined;
  let abandoned = false;
  return new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(BLANK);
      beat = setInterval(() => controller.enqueue(BLANK), late.everyMs);
      const finish = async () => {
        const body = new Uint8Array(await (await work).arrayBuffer());
        clearInterval(beat);
        if (abandoned) return;
        controller.enqueue(body);
        controller.close();
      };
      finish().catch((error: unknown) => controller.error(error));
    },
    cancel() {
      abandoned = true;
      clearInterval(beat);
      late.onAbandon();
    },
  });
}
