import type { Component } from 'svelte';
import Boxes from '@lucide/svelte/icons/boxes';
import Images from '@lucide/svelte/icons/images';
import Paintbrush from '@lucide/svelte/icons/paintbrush';
import Settings from '@lucide/svelte/icons/settings';
import Webhook from '@lucide/svelte/icons/webhook';
import ApiPanel from './api/ApiPanel.svelte';
import CreatePanel from './create/CreatePanel.svelte';
import GalleryPanel from './gallery/GalleryPanel.svelte';
import ModelsPanel from './models/ModelsPanel.svelte';
import type { PanelName } from './names.ts';
import SettingsPanel from './settings/SettingsPanel.svelte';

interface Panel {
  label: string;
  icon: Component;
  component: Component;
}

/** The app's panels by their names. */
export const panels: Readonly<Record<PanelName, Panel>> = {
  create: { label: 'Create', icon: Paintbrush, component: CreatePanel },
  gallery: { label: 'Gallery', icon: Images, component: GalleryPanel },
  models: { label: 'Models', icon: Boxes, component: ModelsPanel },
  api: { label: 'API', icon: Webhook, component: ApiPanel },
  settings: { label: 'Settings', icon: Settings, component: SettingsPanel },
};
