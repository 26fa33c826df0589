/**
 * Version of the shapes in this folder. A tab and a service worker of different releases can meet; they
 * compare this number when they connect. Raise it with any change of shape.
 */
export const PROTOCOL = 5;
