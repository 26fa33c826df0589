import type { AutoencoderPart, AutoencoderSplit } from '#engine/architectures/autoencoder-kl.ts';
import type { NetworkName } from '#engine/architectures/index.ts';
import type { Unet2dConditionOptions } from '#engine/architectures/unet-2d-condition.ts';
import type { Session } from '#engine/runtime/runtime.ts';
import type { Lora } from '#weights/lora.ts';
import type { ChosenLora } from './add-ons.ts';
import type { OpenIpAdapter } from './ip-adapters.ts';

/** How the UNet is written, where the engine writes it. */
export type UnetOptions = Omit<
  Unet2dConditionOptions,
  'weights' | 'precision' | 'loraInputs' | 'slicesAttention'
>;

/** What networks are made with besides their own weights. */
export interface NetworkChanges {
  /** Merged into the weights or, of large UNets, given to each run; in an order that does not matter. */
  loras: readonly ChosenLora[];
  /** Of these all networks that draw take `tiling`. */
  unet: UnetOptions;
  /** Those that `unet` is written for, in its order. */
  ipAdapters?: readonly OpenIpAdapter[];
}

/** A network that can be opened. */
export interface PreparedNetwork {
  /** The same for what would be the same session. */
  key: string;
  /** Of its weights as stored. */
  bytes: number;
  /** @throws AppError `unsupported_feature`, `integrity_failed`, `model_not_found`, and what the runtime throws */
  open(): Promise<Session>;
  /**
   * The open session as this network, where one session serves several. Valid until another of them is requested.
   * @throws AppError `integrity_failed`
   */
  adapt?(session: Session): Promise<Session>;
  /** Another network that does the same, only slower: not worth opening, but used where it is open and this one is not. */
  instead?: PreparedNetwork;
}

/** A text encoder's table of token embeddings. */
export interface TokenTable {
  /** Token ids from here on are added ones. */
  rows: number;
  width: number;
}

/** Where a pack's networks come from: graphs exported elsewhere, or graphs written around weights. */
export interface Networks {
  has(name: NetworkName): boolean;
  /**
   * Finds out what a network is opened from; its weights are not read.
   * @param part one of the two parts of a network that can be {@link split}; all of it by default
   * @throws AppError `invalid_request` when a LoRA does not fit
   */
  prepare(name: NetworkName, changes: NetworkChanges, part?: AutoencoderPart): PreparedNetwork;
  /** How a network is split in two parts; undefined where it cannot be. */
  split(name: NetworkName): AutoencoderSplit | undefined;
  /**
   * Looks whether a LoRA fits, by names and shapes.
   * @returns its modules that do not exist here and are left out
   * @throws AppError `invalid_request` when no module fits
   */
  matchLora(lora: Lora): readonly string[];
  /**
   * The token embeddings of the text encoders, in order, to which words can be added; none for exported graphs,
   * which take no LoRAs either.
   */
  tokenTables: readonly TokenTable[];
}
