/** The app's panels in the order of its tabs; a name is the panel's address: `#/create`. */
export const panelNames = ['create', 'gallery', 'models', 'api', 'settings'] as const;

export type PanelName = (typeof panelNames)[number];
