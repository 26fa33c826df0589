import type { ModelId } from './model.ts';

/** What is looked for in an image, and what finds it. */
export type Finder = EverythingFinder | FaceFinder | PersonFinder | SalientFinder | PointFinder;

/** How many regions count. */
interface Limited {
  /** How many regions at most, the first ones; all by default. */
  max?: number;
}

/** The whole image as one region; needs no network. */
export interface EverythingFinder extends Limited {
  kind: 'everything';
}

/** Faces, by the network included with the app. One region for each, the most certain first. */
export interface FaceFinder extends Limited {
  kind: 'faces';
  /** 0 … 1: how certain a face has to be; what the network itself is sure of, about 0.5, by default. */
  threshold?: number;
  /** `box`, the default: the rectangle around a face. `ellipse`: the ellipse within it. */
  shape?: 'box' | 'ellipse';
}

/** People near the camera, by the network included with the app. One region for those who touch each other, the largest first. */
export interface PersonFinder extends Limited {
  kind: 'person';
  /** `outline`, the default: what belongs to them. `box`: the rectangle around it. */
  shape?: 'outline' | 'box';
}

/** What an image is about, by an installed U²-Net or IS-Net. One region at most. */
export interface SalientFinder extends Limited {
  kind: 'salient';
  model: ModelId;
}

/** What is at some points, by an installed Segment Anything. One region at most. */
export interface PointFinder extends Limited {
  kind: 'points';
  model: ModelId;
  points: readonly FinderPoint[];
}

/** A point that is part of what is wanted, or of what is not. */
export interface FinderPoint {
  /** Pixels of the image. */
  x: number;
  y: number;
  isWanted: boolean;
}
