import { HORDE_ALLOWED_SETTING, RUNS_ON_SETTING, type RunsOn } from '#protocol/backends.ts';
import type { HordeModel } from '#protocol/horde-worker.ts';
import type { Engine } from './engine.svelte.ts';

/** The service under which the Horde's key is kept. */
const SERVICE = 'horde';

/** The AI Horde as the user has set it up. Nothing is sent to it before it is turned on. */
export class Horde {
  readonly #engine: Engine;
  #models = $state.raw<readonly HordeModel[]>([]);
  #hasKey = $state(false);
  #asked = $state.raw<RunsOn | null>(null);

  constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Whether the user has agreed that prompts are sent there. */
  get isOn(): boolean {
    return this.#engine.settings[HORDE_ALLOWED_SETTING] === true;
  }

  /** What the user wants images to run on, while the dialog asks whether prompts may be sent; null otherwise. */
  get asked(): RunsOn | null {
    return this.#asked;
  }

  /** The models on offer there, once {@link readModels} has asked. */
  get models(): readonly HordeModel[] {
    return this.#models;
  }

  get hasKey(): boolean {
    return this.#hasKey;
  }

  /** Chooses where images are generated; asks first where prompts would be sent for the first time. */
  async choose(runsOn: RunsOn): Promise<void> {
    if (runsOn !== 'local' && !this.isOn) this.#asked = runsOn;
    else await this.#engine.updateSetting(RUNS_ON_SETTING, runsOn);
  }

  /** The user has agreed. */
  async allow(): Promise<void> {
    const runsOn = this.#asked;
    this.#asked = null;
    await this.#engine.updateSetting(HORDE_ALLOWED_SETTING, true);
    if (runsOn !== null) await this.#engine.updateSetting(RUNS_ON_SETTING, runsOn);
  }

  /** The user has not agreed. */
  decline(): void {
    this.#asked = null;
  }

  /** From now on nothing is sent there. */
  async turnOff(): Promise<void> {
    await this.#engine.updateSetting(RUNS_ON_SETTING, 'local');
    await this.#engine.updateSetting(HORDE_ALLOWED_SETTING, false);
  }

  /** Asks the Horde for its models, once. */
  async readModels(): Promise<void> {
    if (!this.isOn || this.#models.length > 0) return;
    this.#models = (await this.#engine.ask((host) => host.hordeModels())) ?? [];
  }

  async readKey(): Promise<void> {
    this.#hasKey = (await this.#engine.ask((host) => host.keys()))?.includes(SERVICE) ?? false;
  }

  /** An empty key goes on without an account. */
  async setKey(key: string): Promise<void> {
    await this.#engine.ask((host) => host.setKey(SERVICE, key));
    await this.readKey();
  }
}
