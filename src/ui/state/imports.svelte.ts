import { SvelteMap } from 'svelte/reactivity';
import { toAppError, type AppError } from '#protocol/error.ts';
import type { CatalogueEntry, ImportChoice, ImportOffer, ImportSource } from '#protocol/import.ts';
import type { AnyPack, ModelId } from '#protocol/model.ts';
import type { Engine } from './engine.svelte.ts';
import type { Notices } from './notices.svelte.ts';
import { promptText } from './packs.ts';

/** Something the reader brought, before it is decided whether to keep it. */
export interface Candidate {
  readonly id: number;
  /** What it is called until its offer is there: a file's name, an address. */
  readonly name: string;
  readonly source: ImportSource;
  /** Where it was picked from the catalogue. */
  readonly entry: CatalogueEntry | null;
  /** Null while it is read. */
  readonly offer: ImportOffer | null;
  /** Why it could not even be read. */
  readonly failure: AppError | null;
}

/** What is brought and waits for a decision, oldest first, and what was decided in this tab. */
export class Imports {
  readonly #engine: Engine;
  readonly #notices: Notices;
  #candidates = $state.raw<readonly Candidate[]>([]);
  #nextId = 0;
  /** Files from the disk are gone with the tab; until then an import can go on with the same ones. */
  readonly #started = new SvelteMap<ModelId, { source: ImportSource; choice: ImportChoice }>();

  constructor(engine: Engine, notices: Notices) {
    this.#engine = engine;
    this.#notices = notices;
  }

  /** The one to decide on now. */
  get current(): Candidate | null {
    return this.#candidates[0] ?? null;
  }

  /** How many wait after the current one. */
  get behind(): number {
    return Math.max(this.#candidates.length - 1, 0);
  }

  /** Puts something at the end of the queue and has it read. */
  add(name: string, source: ImportSource, entry: CatalogueEntry | null = null): void {
    const id = this.#nextId++;
    this.#candidates = [...this.#candidates, { id, name, source, entry, offer: null, failure: null }];
    this.#read(id, source);
  }

  /** Reads the current one again: what kept it from being read may have passed. */
  readAgain(): void {
    const { current } = this;
    if (!current?.failure) return;
    this.#change(current.id, { failure: null });
    this.#read(current.id, current.source);
  }

  #read(id: number, source: ImportSource): void {
    this.#engine
      .request((host) => host.inspectImport(source))
      .then(
        (offer) => this.#change(id, { offer }),
        (thrown: unknown) => this.#change(id, { failure: toAppError(thrown) }),
      );
  }

  /** Puts the current one away. */
  skip(): void {
    this.#candidates = this.#candidates.slice(1);
  }

  skipAll(): void {
    this.#candidates = [];
  }

  /** Brings the current one here; from now on it is in the lists of models and add-ons. */
  accept(choice: ImportChoice): void {
    const { current } = this;
    if (!current?.offer) return;
    this.skip();
    void this.#run(current.offer.id, current.source, choice);
  }

  /** Whether a stopped import can go on without the reader's finding its files again. */
  canResume(id: ModelId): boolean {
    return this.#started.has(id);
  }

  /** Resumes an import that this tab started, or a download. */
  async resume({ id }: AnyPack): Promise<void> {
    const started = this.#started.get(id);
    if (started) await this.#run(id, started.source, started.choice);
    else await this.#engine.install(id);
  }

  async #run(id: ModelId, source: ImportSource, choice: ImportChoice): Promise<void> {
    if (source.from === 'files') this.#started.set(id, { source, choice });
    const installed = await this.#engine.ask((host) => host.importModel(source, choice));
    if (installed === undefined) return;
    this.#started.delete(id);
    this.#announce(installed);
  }

  #announce(id: ModelId): void {
    const model = this.#engine.models?.find(({ pack }) => pack.id === id);
    if (model) {
      const run = () => {
        location.hash = '#/create';
        void this.#engine.selectModel(id);
      };
      this.#notices.show(`${model.pack.title} is installed.`, { action: { label: 'Use it', run } });
      return;
    }
    const addOn = this.#engine.addOns.find(({ pack }) => pack.id === id);
    if (!addOn) return;
    const text = promptText(addOn.pack);
    const use = text === null ? '' : ` Write ${text} in a prompt to use it.`;
    this.#notices.show(`${addOn.pack.title} is installed.${use}`);
  }

  #change(id: number, change: Partial<Candidate>): void {
    this.#candidates = this.#candidates.map((candidate) =>
      candidate.id === id ? { ...candidate, ...change } : candidate,
    );
  }
}
