import type { Component } from 'svelte';
import Boxes from '@lucide/svelte/icons/boxes';
import Paintbrush from '@lucide/svelte/icons/paintbrush';
import Settings from '@lucide/svelte/icons/settings';
import Webhook from '@lucide/svelte/icons/webhook';
import ApiPanel from './api/ApiPanel.svelte';
import CreatePanel from './create/CreatePanel.svelte';
import ModelsPanel from './models/ModelsPanel.svelte';
import SettingsPanel from './settings/SettingsPanel.svelte';

interface Panel {
  label: string;
  icon: Component;
  component: Component;
}

/** The app's panels in the order of its tabs; a key is the panel's address: `#/create`. */
export const panels = {
  create: { label: 'Create', icon: Paintbrush, component: CreatePanel },
  models: { label: 'Models', icon: Boxes, component: ModelsPanel },
  api: { label: 'API', icon: Webhook, component: ApiPanel },
  settings: { label: 'Settings', icon: Settings, component: SettingsPanel },
} as const satisfies Record<string, Panel>;

export type PanelName = keyof typeof panels;

export const panelNames: readonly PanelName[] = ['create', 'models', 'api', 'settings'];
