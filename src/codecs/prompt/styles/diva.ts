import type { StyleTexts } from './style-texts.ts';

/** Movements, techniques and atmospheres. */
export const divaStyles: StyleTexts = {
  'Cinematic Diva': [
    'diva portrait of {prompt}, silver-screen charisma, opulent gown, spotlight glow, sweeping film drama',
    'plain, casual, harsh flash, cartoon, lowres',
  ],
  'Abstract Expressionism': [
    'abstract expressionism of {prompt}, gestural sweeps, colliding color fields, dense impasto, free emotion',
    'photo, figurative detail, tidy, 3d',
  ],
  Academia: [
    'academia mood of {prompt}, old library, tweed and leather, warm lamp light, books and ink',
    'neon, futuristic, beach, cartoon, bright',
  ],
  'Action Figure': [
    'action figure of {prompt}, jointed plastic toy, blister-pack styling, glossy paint, studio product light',
    'real person, drawing, flat, blurry',
  ],
  'Adorable 3D Character': [
    'adorable 3d character of {prompt}, big eyes, soft round forms, subsurface glow, playful animated-film look',
    'scary, realistic, flat drawing, gritty',
  ],
  'Adorable Kawaii': [
    'adorable kawaii art of {prompt}, chibi shape, pastel hearts and stars, happy tiny face',
    'scary, realistic, dark, gritty',
  ],
  'Art Deco': [
    'art deco picture of {prompt}, geometric luxury, fan motifs, brass and onyx, 1920s glamour',
    'rustic, messy, organic, modern minimal',
  ],
  'Art Nouveau': [
    'art nouveau picture of {prompt}, sinuous plant lines, ornamental halo, poster lithograph, soft gold',
    'straight edges, industrial, modern, photo',
  ],
  'Astral Aura': [
    'astral aura of {prompt}, radiant energy field, star dust, ethereal violet glow, spiritual calm',
    'mundane, dull, harsh daylight, gritty',
  ],
  'Avant Garde': [
    'avant-garde work of {prompt}, radical form, unexpected material, experimental composition, provocative edge',
    'conventional, cliche, plain, snapshot',
  ],
  Baroque: [
    'baroque painting of {prompt}, theatrical chiaroscuro, swirling drapery, rich crimson and gold, grandeur',
    'minimal, flat, modern, pastel, photo',
  ],
  'Bauhaus Style Poster': [
    'Bauhaus poster of {prompt}, primary shapes, asymmetric grid, sans-serif spirit, red blue yellow on cream',
    'ornament, photo, gradients, clutter',
  ],
  'Blueprint Schematic Drawing': [
    'blueprint schematic of {prompt}, white technical lines on blue, orthographic views, dimension marks',
    'photo, color, shading, perspective, blur',
  ],
  Caricature: [
    'caricature of {prompt}, exaggerated features, witty expression, lively ink and wash',
    'realistic proportions, photo, stiff, 3d',
  ],
  'Cel Shaded Art': [
    'cel-shaded art of {prompt}, hard shadow edges, flat color steps, clean outline, toon render',
    'realistic shading, photo, noise, blur',
  ],
  'Character Design Sheet': [
    'character design sheet of {prompt}, front side and back views, expressions, costume details, neutral backdrop',
    'single view, scenery, blurry, photo',
  ],
  'Classicism Art': [
    'classicist painting of {prompt}, noble calm, ideal proportion, marble and columns, restrained color',
    'modern, chaotic, neon, cartoon',
  ],
  'Color Field Painting': [
    'color field painting of {prompt}, vast soft-edged areas of pure hue, quiet depth, stained canvas',
    'detail, line, figures, photo, clutter',
  ],
  'Colored Pencil Art': [
    'colored pencil drawing of {prompt}, layered hatching, paper tooth, soft blended tones',
    'photo, flat fill, paint, 3d',
  ],
  'Conceptual Art': [
    'conceptual art of {prompt}, idea before form, spare staging, symbolic object, gallery setting',
    'decorative, cluttered, literal, cartoon',
  ],
  Constructivism: [
    'constructivism of {prompt}, intersecting beams and arcs, industrial red and black, dynamic diagonal order',
    'soft, floral, realism, pastel',
  ],
  Cubism: [
    'cubism of {prompt}, interlocking facets, flattened space, muted ochre and grey, shifting viewpoints',
    'photo, smooth realism, single viewpoint, 3d',
  ],
  Dadaism: [
    'dada collage of {prompt}, absurd juxtaposition, cut print fragments, nonsense wit, anti-art spirit',
    'orderly, realistic, polished, pastel',
  ],
  'Dark Fantasy': [
    'dark fantasy art of {prompt}, cursed ruins, brooding figures, ember light, grim painterly detail',
    'bright, cute, modern, cheerful',
  ],
  'Dark Moody Atmosphere': [
    'dark moody image of {prompt}, low-key light, heavy shadow, fog, muted color, quiet tension',
    'bright, cheerful, vivid, flat light',
  ],
  'Dmt Art Style': [
    'visionary trip art of {prompt}, hyperspace fractals, neon mandala tunnels, glowing symmetry, liquid geometry',
    'plain, muted, realistic, dull',
  ],
  'Doodle Art': [
    'doodle art of {prompt}, playful ballpoint scribbles, packed little figures, notebook charm',
    'photo, polished, 3d, empty',
  ],
  'Double Exposure': [
    'double exposure of {prompt}, silhouette filled with landscape, blended translucent layers, clean background',
    'single image, cluttered, cartoon, hard cutout',
  ],
  'Dripping Paint Splatter Art': [
    'paint splatter art of {prompt}, dripping color, bursting droplets, wet strokes, explosive energy',
    'clean edges, photo, tidy, monochrome',
  ],
  Expressionism: [
    'expressionism of {prompt}, jagged contour, burning color, anxious distortion, thick paint',
    'calm, realistic, photo, smooth',
  ],
  'Faded Polaroid Photo': [
    'faded polaroid of {prompt}, washed-out color, soft focus, white frame, nostalgic light leak',
    'sharp digital, vivid, hdr, painting',
  ],
  Fauvism: [
    'fauvist painting of {prompt}, wild unnatural color, flat bold strokes, joyful simplification',
    'muted, realistic, photo, fine detail',
  ],
  'Flat 2d Art': [
    'flat 2d illustration of {prompt}, simple shapes, solid color, no depth, clean vector edges',
    '3d, shading, photo, texture, gradient',
  ],
  'Fortnite Art Style': [
    'battle-royale game art of {prompt}, stylized cartoon 3d, chunky shapes, vivid sky, playful hero pose',
    'realistic, gritty, muted, photo',
  ],
  Futurism: [
    'futurist painting of {prompt}, speed and machine, repeated motion lines, splintered light, dynamic force',
    'static, calm, rustic, photo',
  ],
  Glitchcore: [
    'glitchcore image of {prompt}, data corruption, pixel sorting, RGB split, frantic digital noise',
    'clean, natural, smooth, analog paint',
  ],
  'Glo Fi': [
    'glo-fi art of {prompt}, hazy neon glow, soft tape-like blur, dreamy summer nostalgia',
    'sharp, harsh, gritty, monochrome',
  ],
  'Googie Art Style': [
    'Googie style {prompt}, upswept roofs, starbursts, boomerang shapes, atomic-age diner color',
    'medieval, gritty, minimal, gloomy',
  ],
  'Graffiti Art': [
    'graffiti art of {prompt}, spray-can gradients, bold tags, urban wall, drips and highlights',
    'clean studio, pastel, formal, photo portrait',
  ],
  'Harlem Renaissance Art': [
    'Harlem Renaissance art of {prompt}, jazz rhythm, layered silhouettes, concentric light, warm earth color',
    'modern digital, plain, photo, anime',
  ],
  'High Fashion': [
    'high fashion image of {prompt}, haute couture, striking silhouette, runway poise, editorial light',
    'casual, plain, snapshot, cluttered',
  ],
  Idyllic: [
    'idyllic scene of {prompt}, gentle countryside, golden light, blossoms, peace and plenty',
    'gloomy, urban, harsh, ruined',
  ],
  Impressionism: [
    'impressionism of {prompt}, quick visible strokes, changing light, fresh open-air color',
    'photo, hard line, smooth, dark studio',
  ],
  'Infographic Drawing': [
    'infographic drawing of {prompt}, clear icons, arrows and charts, ordered sections, flat friendly color',
    'photo, clutter, realism, dark, illegible',
  ],
  'Ink Dripping Drawing': [
    'ink drawing of {prompt}, running black drips, splashes, loose brush line, stark white paper',
    'color photo, tidy, 3d, smooth',
  ],
  'Japanese Ink Drawing': [
    'Japanese ink drawing of {prompt}, sumi brush, graded wash, calm asymmetry, empty space',
    'bright color, photo, 3d, cluttered',
  ],
  'Knolling Photography': [
    'knolling photo of {prompt}, objects laid out at right angles, top-down view, even light, plain surface',
    'messy, tilted, overlapping, perspective, people',
  ],
  'Light Cheery Atmosphere': [
    'light cheery image of {prompt}, sunny pastel color, airy space, smiling mood, gentle breeze',
    'dark, gloomy, scary, gritty',
  ],
  'Logo Design': [
    'logo design of {prompt}, simple memorable mark, flat vector, balanced negative space, plain background',
    'photo, detail, gradient clutter, scenery, 3d',
  ],
  'Luxurious Elegance': [
    'luxurious elegance of {prompt}, silk and marble, champagne gold, refined detail, soft glow',
    'cheap, messy, rustic, loud, grunge',
  ],
  'Macro Photography': [
    'macro photo of {prompt}, extreme close-up, tiny detail revealed, thin focus plane, dewy light',
    'wide shot, distant, everything sharp, drawing',
  ],
  'Mandola Art': [
    'mandala art of {prompt}, radial symmetry, nested rings of ornament, fine line, harmonious color',
    'asymmetry, photo, empty, messy',
  ],
  'Marker Drawing': [
    'marker drawing of {prompt}, bold felt-tip strokes, overlapping ink layers, bright alcohol color',
    'photo, oil paint, 3d, faint line',
  ],
  Medievalism: [
    'medieval scene of {prompt}, castles and heraldry, hand-wrought metal, tapestry color, chivalric mood',
    'modern, sci-fi, neon, plastic',
  ],
  Minimalism: [
    'minimalism of {prompt}, reduced to the essential, plain ground, calm proportion, one accent',
    'clutter, ornament, busy pattern, noise',
  ],
  'Neo Baroque': [
    'neo-baroque image of {prompt}, lavish ornament renewed, dramatic light, polished gold, modern excess',
    'minimal, plain, flat, dull',
  ],
  'Neo Byzantine': [
    'neo-Byzantine image of {prompt}, gold mosaic ground, frontal dignity, jeweled halo, arches and domes',
    'modern plain, photo, perspective depth, neon',
  ],
  'Neo Futurism': [
    'neo-futurist design of {prompt}, sweeping curves, white composite, glass and light, optimistic technology',
    'old, rustic, ruined, ornate',
  ],
  'Neo Impressionism': [
    'neo-impressionist painting of {prompt}, small divided strokes, systematic color contrast, shimmering stillness',
    'photo, flat fill, black outline, 3d',
  ],
  'Neo Rococo': [
    'neo-rococo image of {prompt}, playful curls, pastel satin, shells and garlands, modern whimsy',
    'austere, dark, industrial, minimal',
  ],
  Neoclassicism: [
    'neoclassical painting of {prompt}, heroic restraint, crisp contour, antique setting, cool even light',
    'chaotic, modern, neon, cartoon',
  ],
  'Op Art': [
    'op art of {prompt}, black and white stripes, optical vibration, warped grid, exact geometry',
    'soft, organic, photo, muted detail',
  ],
  'Ornate And Intricate': [
    'ornate intricate rendering of {prompt}, filigree, engraved pattern, layered decoration, precious detail',
    'plain, simple, empty, rough',
  ],
  'Pencil Sketch Drawing': [
    'pencil sketch of {prompt}, graphite line, soft hatching, construction marks, sketchbook paper',
    'color, photo, ink fill, 3d',
  ],
  'Pop Art 2': [
    'pop art of {prompt}, comic dots, clashing brights, bold repetition, ironic consumer style',
    'muted, realism, subtle, photo',
  ],
  Rococo: [
    'rococo painting of {prompt}, frothy pastel, flirtatious garden, gilt curves, feathery brush',
    'austere, dark, modern, industrial',
  ],
  'Silhouette Art': [
    'silhouette art of {prompt}, solid black shapes, clear profile, glowing plain backdrop',
    'inner detail, texture, photo, clutter',
  ],
  'Simple Vector Art': [
    'simple vector art of {prompt}, few flat shapes, smooth curves, limited palette, icon clarity',
    'photo, texture, gradient, noise, 3d',
  ],
  Sketchup: [
    'SketchUp-style model of {prompt}, clean 3d edges, flat materials, simple shadows, architectural draft',
    'photo, painterly, organic, blurry',
  ],
  'Steampunk 2': [
    'steampunk vision of {prompt}, clockwork and copper, airship age, goggles, sooty amber light',
    'modern, plastic, minimal, neon',
  ],
  Surrealism: [
    'surrealism of {prompt}, dream objects, bent reality, deep horizon, meticulous strangeness',
    'ordinary, literal, plain, snapshot',
  ],
  Suprematism: [
    'suprematist composition of {prompt}, tilted squares and bars, pure color on white, weightless geometry',
    'realism, ornament, shading, photo',
  ],
  Terragen: [
    'Terragen-style landscape of {prompt}, procedural mountains, volumetric clouds, atmospheric distance, vast terrain',
    'indoor, portrait, cartoon, flat',
  ],
  'Tranquil Relaxing Atmosphere': [
    'tranquil image of {prompt}, still water, soft morning haze, soothing muted color, slow calm',
    'chaotic, harsh, loud, dark',
  ],
  'Sticker Designs': [
    'sticker of {prompt}, white die-cut border, bold clean outline, bright flat color, plain background',
    'photo, scenery, clutter, blurry edge',
  ],
  'Vibrant Rim Light': [
    'vibrant rim-lit image of {prompt}, glowing colored edges, dark background, two-tone backlight',
    'flat front light, dull, white background',
  ],
  'Volumetric Lighting': [
    'volumetric light on {prompt}, visible sunbeams, drifting dust, deep atmosphere, radiant depth',
    'flat light, clear air, dull, cartoon',
  ],
  'Watercolor 2': [
    'loose watercolor of {prompt}, blooming pigments, splashed edges, light pencil under-drawing, airy white paper',
    'photo, opaque, hard line, 3d',
  ],
  'Whimsical And Playful': [
    'whimsical playful picture of {prompt}, bouncy shapes, silly surprises, candy color, storybook joy',
    'serious, dark, realistic, dull',
  ],
};
