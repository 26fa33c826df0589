import { createContext } from 'svelte';
import type { GenerateForever } from '#ui/panels/create/form/generate-forever.svelte.ts';
import type { GenerateForm } from '#ui/panels/create/form/generate-form.svelte.ts';
import type { PlotRun } from '#ui/panels/create/plot/plot-run.svelte.ts';
import type { Brought } from '#ui/brought/brought-images.svelte.ts';
import type { ApiLog } from '#ui/panels/api/api-log.svelte.ts';
import type { Address } from './address.svelte.ts';
import type { AppStatus } from './app-status.svelte.ts';
import type { Engine } from './engine.svelte.ts';
import type { Gallery } from './gallery.svelte.ts';
import type { GalleryView } from './gallery-view.svelte.ts';
import type { Horde } from './horde.svelte.ts';
import type { Imports } from './imports.svelte.ts';
import type { Notices } from './notices.svelte.ts';
import type { ServerSettings } from './other-servers.svelte.ts';
import type { ThemeChoice } from './theme.svelte.ts';

/** Everything the components share: made once by App, found by context. */
export interface AppState {
  status: AppStatus;
  engine: Engine;
  gallery: Gallery;
  galleryView: GalleryView;
  address: Address;
  horde: Horde;
  imports: Imports;
  brought: Brought;
  form: GenerateForm;
  forever: GenerateForever;
  plot: PlotRun;
  apiLog: ApiLog;
  notices: Notices;
  servers: ServerSettings;
  theme: ThemeChoice;
}

export const [getAppState, setAppState] = createContext<AppState>();
