import type { StyleTexts } from './style-texts.ts';

/** General looks. */
export const saiStyles: StyleTexts = {
  'SAI 3D Model': [
    'polished 3d model of {prompt}, physically based materials, ray-traced light, clean studio render',
    'flat drawing, sketch, photo, low-poly, rough mesh, noise',
  ],
  'SAI Analog Film': [
    'analog film photo of {prompt}, 35mm stock, visible grain, faded colors, light leaks, slight vignette',
    'digital look, painting, drawing, perfect sharpness, cartoon',
  ],
  'SAI Anime': [
    'anime illustration of {prompt}, clean line work, cel shading, expressive eyes, lively colors, key visual',
    'photo, realism, 3d render, western comic, deformed, extra limbs',
  ],
  'SAI Cinematic': [
    'movie still of {prompt}, wide-screen framing, moody light, shallow focus, film grain, subtle color grading',
    'cartoon, painting, drawing, amateur snapshot, flat light, text',
  ],
  'SAI Comic Book': [
    'comic book panel of {prompt}, bold ink outlines, halftone shading, punchy colors, dynamic angle',
    'photo, realism, 3d render, soft shading, blurry lines',
  ],
  'SAI Craft Clay': [
    'clay figure of {prompt}, hand-molded plasticine, thumb prints, rounded shapes, miniature set, stop-motion light',
    'photo of real people, smooth plastic, drawing, flat, sloppy',
  ],
  'SAI Digital Art': [
    'digital concept art of {prompt}, matte painting finish, luminous color, painterly brushwork, fine detail',
    'photo, lowres, flat, ugly, unfinished',
  ],
  'SAI Enhance': [
    'striking picture of {prompt}, vivid clarity, balanced contrast, fine detail, appealing light',
    'blurry, dull, low contrast, noisy, distorted, lowres',
  ],
  'SAI Fantasy Art': [
    'epic fantasy art of {prompt}, enchanted atmosphere, mythical grandeur, glowing magic, painterly detail',
    'modern objects, photo, mundane, flat light, lowres',
  ],
  'SAI Isometric': [
    'isometric view of {prompt}, fixed 30-degree angle, tidy miniature diorama, soft shadows, clean geometry',
    'perspective distortion, vanishing point, close-up, photo, messy',
  ],
  'SAI Line Art': [
    'line art of {prompt}, confident black contour on white, varied stroke width, no shading, graphic clarity',
    'color fill, photo, gradients, blur, shading, 3d',
  ],
  'SAI Lowpoly': [
    'low-poly model of {prompt}, faceted triangles, flat-shaded planes, simple geometry, soft ambient light',
    'smooth curves, high detail texture, photo, noise',
  ],
  'SAI Neonpunk': [
    'neonpunk scene of {prompt}, magenta and cyan glow, rain-wet surfaces, sleek futurism, dark night, high contrast',
    'daylight, pastel, rustic, dull color, painting',
  ],
  'SAI Origami': [
    'origami sculpture of {prompt}, crisp paper folds, pleated geometry, single sheet, soft studio shadow',
    'photo of real objects, cloth, plastic, drawing, blurry',
  ],
  'SAI Photographic': [
    'professional photo of {prompt}, 85mm prime lens, natural bokeh, true color, high resolution',
    'drawing, painting, cartoon, render, anime, artificial, lowres',
  ],
  'SAI Pixel Art': [
    'pixel art of {prompt}, limited palette, crisp square pixels, 16-bit sprite shading, dithering',
    'smooth gradients, anti-aliasing, photo, blur, 3d render',
  ],
  'SAI Texture': [
    'seamless texture of {prompt}, top-down flat surface, even light, tileable material detail',
    'perspective, object, horizon, strong shadow, vignette, blur',
  ],
};
