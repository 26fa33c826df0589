import type { StyleTexts } from './style-texts.ts';

/** Moods and illustrated worlds. */
export const mreStyles: StyleTexts = {
  'MRE Cinematic Dynamic': [
    'action movie shot of {prompt}, tilted camera, motion in every line, sparks and dust, dramatic backlight',
    'static, posed, flat light, cartoon, lowres',
  ],
  'MRE Spontaneous Picture': [
    'candid snapshot of {prompt}, unposed moment, available light, slight tilt, honest everyday feel',
    'studio, staged, retouched, illustration, render',
  ],
  'MRE Artistic Vision': [
    'visionary painting of {prompt}, bold interpretation, expressive brushwork, unusual palette, poetic mood',
    'photo, plain, literal, generic, lowres',
  ],
  'MRE Dark Dream': [
    'dark dream of {prompt}, half-lit shapes, cold mist, uneasy stillness, muted ink-like tones',
    'bright, cheerful, sunny, cartoon, clean',
  ],
  'MRE Gloomy Art': [
    'gloomy artwork of {prompt}, overcast greys, worn surfaces, lonely silence, sparse light',
    'vivid, happy, sunny, glossy, busy',
  ],
  'MRE Bad Dream': [
    'nightmare of {prompt}, warped space, creeping shadows, sickly light, unsettling detail',
    'calm, cute, bright, tidy, comforting',
  ],
  'MRE Underground': [
    'underground zine art of {prompt}, raw ink, photocopy grit, street attitude, rebellious collage',
    'polished, corporate, pastel, photorealistic, tidy',
  ],
  'MRE Surreal Painting': [
    'surreal oil painting of {prompt}, impossible scale, melting logic, dream horizon, precise brushwork',
    'ordinary, photo, realistic setting, flat, sketch',
  ],
  'MRE Dynamic Illustration': [
    'dynamic illustration of {prompt}, sweeping gesture lines, energetic brush, strong diagonals, splashes of color',
    'stiff, symmetrical, photo, dull, static',
  ],
  'MRE Undead Art': [
    'undead vision of {prompt}, decayed flesh and bone, grave soil, pale moonlight, grim painterly detail',
    'healthy, clean, cute, sunny, cheerful',
  ],
  'MRE Elemental Art': [
    'elemental art of {prompt}, formed of fire, water, earth and wind, swirling energy, glowing particles',
    'mundane, dull, static, photo, urban',
  ],
  'MRE Space Art': [
    'space art of {prompt}, nebula light, distant planets, star fields, cosmic scale, deep contrast',
    'indoor, daylight sky, cartoon, cluttered, lowres',
  ],
  'MRE Ancient Illustration': [
    'ancient illustration of {prompt}, weathered parchment, faded mineral pigments, archaic line, ornamental border',
    'modern, photo, neon, glossy, 3d',
  ],
  'MRE Brave Art': [
    'fearless artwork of {prompt}, defiant pose, heroic low angle, blazing colors, thick brush strokes',
    'timid, pale, weak composition, photo, lowres',
  ],
  'MRE Heroic Fantasy': [
    'heroic fantasy painting of {prompt}, gleaming armor, stormy peaks, legendary battle light, rich oil texture',
    'modern, sci-fi, cartoon, flat, lowres',
  ],
  'MRE Dark Cyberpunk': [
    'dark cyberpunk scene of {prompt}, oily alleys, flickering signs, heavy smog, implants, oppressive towers',
    'daylight, nature, rustic, cheerful, clean',
  ],
  'MRE Lyrical Geometry': [
    'lyrical geometry of {prompt}, floating circles and arcs, musical rhythm, balanced abstract color, thin lines',
    'photo, realism, clutter, heavy texture',
  ],
  'MRE Sumi E Symbolic': [
    'symbolic sumi-e of {prompt}, few decisive brush strokes, black ink wash, vast empty paper, quiet meaning',
    'color, photo, fine detail, clutter, 3d',
  ],
  'MRE Sumi E Detailed': [
    'detailed sumi-e of {prompt}, layered ink washes, dry-brush texture, delicate contour, rice paper, red seal',
    'bright color, photo, 3d, thick outlines, digital gradient',
  ],
  'MRE Manga': [
    'manga page art of {prompt}, black and white ink, screentone, speed lines, dramatic framing',
    'color, photo, 3d, blurry, western cartoon',
  ],
  'MRE Anime': [
    'anime scene of {prompt}, hand-painted background, luminous sky, cel-shaded figures, cinematic light',
    'photo, 3d, realism, dull color, deformed',
  ],
  'MRE Comic': [
    'graphic novel art of {prompt}, inked shadows, limited flat color, strong silhouettes, gritty mood',
    'photo, 3d, soft shading, pastel, blurry',
  ],
};
