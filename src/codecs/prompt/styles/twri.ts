import type { StyleTexts } from './style-texts.ts';

/** Advertising, art movements, futures, games, odds and ends, paper and photography. */
export const twriStyles: StyleTexts = {
  'Ads Advertising': [
    'advertising photo of {prompt}, hero product shot, eye-catching layout, spotless studio light, copy space',
    'cluttered, amateur, dull, noisy, watermark',
  ],
  'Ads Automotive': [
    'automotive ad of {prompt}, gleaming bodywork, low three-quarter view, rim light, open road mood',
    'dirty, cluttered, bad reflections, cartoon, lowres',
  ],
  'Ads Corporate': [
    'corporate image of {prompt}, modern office light, confident and tidy, neutral blues, professional tone',
    'messy, grunge, dark, casual snapshot, cartoon',
  ],
  'Ads Fashion Editorial': [
    'fashion editorial of {prompt}, couture styling, magazine spread, sculpted pose, bold studio light',
    'plain clothes, snapshot, cluttered, cartoon, lowres',
  ],
  'Ads Food Photography': [
    'food photo of {prompt}, fresh and appetizing, soft window light, rustic table, shallow focus',
    'unappetizing, plastic, messy, harsh flash, cartoon',
  ],
  'Ads Gourmet Food Photography': [
    'gourmet plate of {prompt}, fine-dining presentation, delicate garnish, dark backdrop, precise light',
    'fast food, sloppy plating, harsh flash, cartoon, blur',
  ],
  'Ads Luxury': [
    'luxury ad of {prompt}, gold accents, deep velvet shadows, exquisite materials, restrained elegance',
    'cheap, plastic, cluttered, loud colors, snapshot',
  ],
  'Ads Real Estate': [
    'real estate photo of {prompt}, wide-angle view, bright airy rooms, straight verticals, inviting light',
    'dark, cramped, cluttered, tilted, people, lowres',
  ],
  'Ads Retail': [
    'retail display of {prompt}, bright shop setting, neatly arranged goods, lively promotion colors',
    'empty, dull, messy, dark, amateur',
  ],
  'Artstyle Abstract': [
    'abstract art of {prompt}, pure shape and color, layered texture, free composition, no literal detail',
    'realistic, photo, figurative, literal, 3d',
  ],
  'Artstyle Abstract Expressionism': [
    'abstract expressionist painting of {prompt}, spontaneous brush sweeps, drips, heavy paint, raw emotion',
    'realistic, tidy, photo, smooth, 3d',
  ],
  'Artstyle Art Deco': [
    'art deco design of {prompt}, stepped geometry, sunburst lines, gold and black, streamlined elegance',
    'rustic, organic, messy, photo, modern minimal',
  ],
  'Artstyle Art Nouveau': [
    'art nouveau panel of {prompt}, whiplash curves, flowing hair and vines, floral frame, muted jewel tones',
    'straight lines, industrial, photo, modern, 3d',
  ],
  'Artstyle Constructivist': [
    'constructivist poster of {prompt}, diagonal blocks, red black and cream, bold geometric planes',
    'realism, pastel, ornament, photo, soft',
  ],
  'Artstyle Cubist': [
    'cubist painting of {prompt}, fractured planes, many viewpoints at once, earthy palette, angular rhythm',
    'photo, single perspective, smooth realism, anime, 3d',
  ],
  'Artstyle Expressionist': [
    'expressionist painting of {prompt}, distorted forms, clashing color, raw strokes, inner turmoil',
    'photo, realism, calm, neat, 3d',
  ],
  'Artstyle Graffiti': [
    'graffiti piece of {prompt}, spray paint on brick, wild lettering energy, drips, vivid fills and outlines',
    'clean wall, photo portrait, pastel, formal, 3d',
  ],
  'Artstyle Hyperrealism': [
    'hyperrealist painting of {prompt}, flawless detail, pores and reflections, perfect light, lifelike depth',
    'loose brushwork, cartoon, abstract, blurry, flat',
  ],
  'Artstyle Impressionist': [
    'impressionist painting of {prompt}, dabs of broken color, shimmering daylight, open-air mood',
    'photo, hard outline, smooth, anime, 3d',
  ],
  'Artstyle Pointillism': [
    'pointillist painting of {prompt}, countless tiny dots of pure color, optical mixing, luminous calm',
    'smooth gradient, line art, photo, 3d',
  ],
  'Artstyle Pop Art': [
    'pop art print of {prompt}, flat bright color, thick outline, halftone dots, mass-culture wit',
    'realism, muted, photo, subtle shading',
  ],
  'Artstyle Psychedelic': [
    'psychedelic art of {prompt}, swirling patterns, rainbow vibration, melting forms, kaleidoscopic glow',
    'muted, plain, realistic, monochrome, photo',
  ],
  'Artstyle Renaissance': [
    'renaissance painting of {prompt}, balanced composition, sfumato modeling, oil glazes, classical drapery',
    'modern, abstract, neon, photo, cartoon',
  ],
  'Artstyle Steampunk': [
    'steampunk artwork of {prompt}, brass gears, steam pipes, leather and rivets, Victorian invention',
    'digital tech, plastic, minimalist, modern, photo snapshot',
  ],
  'Artstyle Surrealist': [
    'surrealist art of {prompt}, dream logic, unexpected pairings, long shadows, uncanny calm',
    'ordinary, literal, snapshot, flat',
  ],
  'Artstyle Typography': [
    'typographic art of {prompt}, shaped by letterforms, striking type hierarchy, graphic poster layout',
    'photo, cluttered, illegible mess, realistic scene',
  ],
  'Artstyle Watercolor': [
    'watercolor painting of {prompt}, transparent washes, wet edges, paper grain, soft bleeding color',
    'photo, hard outline, opaque, 3d, anime',
  ],
  'Futuristic Biomechanical': [
    'biomechanical form of {prompt}, fused bone and machine, ribbed tubes, glistening metal, organic armor',
    'natural, rustic, cute, flat, simple',
  ],
  'Futuristic Biomechanical Cyberpunk': [
    'biomechanical cyberpunk vision of {prompt}, grafted implants, wet neon, cables under skin, night city',
    'natural, daylight, rustic, cute, clean',
  ],
  'Futuristic Cybernetic': [
    'cybernetic being of {prompt}, augmented body, circuit traces, chrome joints, cool glowing optics',
    'purely organic, medieval, rustic, cartoon',
  ],
  'Futuristic Cybernetic Robot': [
    'cybernetic robot of {prompt}, articulated plating, exposed servos, status lights, precise engineering',
    'human skin, organic, medieval, soft toy',
  ],
  'Futuristic Cyberpunk Cityscape': [
    'cyberpunk cityscape with {prompt}, stacked towers, holographic signs, flying traffic, rain and neon haze',
    'countryside, daylight, empty, rustic, clean',
  ],
  'Futuristic Futuristic': [
    'futuristic vision of {prompt}, seamless materials, advanced technology, bright clean light, bold form',
    'old, vintage, rustic, worn, medieval',
  ],
  'Futuristic Retro Cyberpunk': [
    'retro cyberpunk scene of {prompt}, 1980s computers, CRT scanlines, grid horizon, purple neon',
    'modern flat design, daylight, rustic, medieval',
  ],
  'Futuristic Retro Futurism': [
    'retro-futurist illustration of {prompt}, 1950s tomorrow, fins and domes, ray-gun optimism, faded print color',
    'gritty, dystopian, modern photo, medieval',
  ],
  'Futuristic Sci Fi': [
    'science fiction scene of {prompt}, advanced ships and suits, alien light, believable technology, epic scale',
    'medieval, rustic, everyday, cartoon, lowres',
  ],
  'Futuristic Vaporwave': [
    'vaporwave art of {prompt}, pink and teal gradient, marble bust, sunset grid, glitchy nostalgia',
    'realistic, brown, rustic, dark gritty, monochrome',
  ],
  'Game Bubble Bobble': [
    'cute bubble arcade game scene of {prompt}, round little dragons, floating bubbles, candy colors, pixel platforms',
    'realistic, dark, gritty, photo, horror',
  ],
  'Game Cyberpunk Game': [
    'cyberpunk game screenshot of {prompt}, neon city missions, glowing interface, high-tech gear, ray-traced rain',
    'medieval, rustic, photo, daylight countryside',
  ],
  'Game Fighting Game': [
    'fighting game art of {prompt}, dynamic duel stance, energy effects, arena stage, bold character design',
    'calm, static, landscape only, photo',
  ],
  'Game Gta': [
    'crime open-world game cover art of {prompt}, thick painted outlines, sunny city, swagger, saturated shading',
    'photo, anime, medieval, pastel, blurry',
  ],
  'Game Mario': [
    'cheerful plumber platform game world of {prompt}, brick blocks, green pipes, coins, rounded 3d shapes, blue sky',
    'dark, gritty, realistic, horror, photo',
  ],
  'Game Minecraft': [
    'voxel block game scene of {prompt}, cubic world, 16-pixel textures, square trees, blocky light',
    'smooth, round, realistic, photo, curved',
  ],
  'Game Pokemon': [
    'pocket monster creature art of {prompt}, cute battle-ready design, clean cel shading, bright simple background',
    'realistic, scary, gore, photo, gritty',
  ],
  'Game Retro Arcade': [
    '1980s arcade game of {prompt}, chunky sprites, black background, glowing CRT color, score display feel',
    'modern, photo, 3d realism, smooth',
  ],
  'Game Retro Game': [
    '16-bit console game scene of {prompt}, sprite art, tiled backdrop, parallax layers, limited palette',
    'photo, high resolution, smooth gradients, modern',
  ],
  'Game Rpg Fantasy Game': [
    'fantasy role-playing game art of {prompt}, quest party mood, ornate gear, magical ruins, painterly splash art',
    'modern, photo, sci-fi, plain, lowres',
  ],
  'Game Strategy Game': [
    'strategy game view of {prompt}, overhead map, unit formations, tidy terrain, detailed buildings',
    'close-up portrait, photo, first person, blurry',
  ],
  'Game Streetfighter': [
    'street martial-arts game art of {prompt}, brawny brush-inked fighters, flying fists, ki flash, world-tour stage',
    'photo, pastel, calm, thin lines, 3d realism',
  ],
  'Game Zelda': [
    'adventure game scene of {prompt}, green-clad hero mood, watercolor sky, ruined temples, soft cel shading',
    'modern city, photo, gritty, gore',
  ],
  'Misc Architectural': [
    'architectural rendering of {prompt}, precise lines, honest materials, daylight study, human scale',
    'crooked, organic chaos, cartoon, lowres',
  ],
  'Misc Disco': [
    'disco scene of {prompt}, mirror ball sparkle, colored spotlights, 1970s glamour, glitter floor',
    'daylight, dull, rustic, quiet, muted',
  ],
  'Misc Dreamscape': [
    'dreamscape of {prompt}, floating islands, pastel mist, soft glow, endless sky, gentle wonder',
    'harsh, gritty, ordinary, urban, dark',
  ],
  'Misc Dystopian': [
    'dystopian scene of {prompt}, ruined skyline, ash-grey haze, surveillance, bleak endurance',
    'cheerful, lush, clean, colorful, utopian',
  ],
  'Misc Fairy Tale': [
    'fairy tale illustration of {prompt}, enchanted forest, storybook charm, warm lantern light, delicate detail',
    'modern, gritty, photo, horror, sci-fi',
  ],
  'Misc Gothic': [
    'gothic image of {prompt}, pointed arches, candle smoke, black lace, moonlit stone, solemn drama',
    'bright, cheerful, modern, pastel, cartoon',
  ],
  'Misc Grunge': [
    'grunge artwork of {prompt}, torn paper, scratched texture, dirty color, distressed 1990s attitude',
    'clean, polished, pastel, corporate, smooth',
  ],
  'Misc Horror': [
    'horror scene of {prompt}, dread in the dark, single harsh light, grime and shadow, unbearable tension',
    'cheerful, bright, cute, cartoon, safe',
  ],
  'Misc Kawaii': [
    'kawaii drawing of {prompt}, tiny round body, blushing cheeks, sparkly eyes, pastel sweetness',
    'scary, realistic, dark, gritty, sharp',
  ],
  'Misc Lovecraftian': [
    'cosmic horror of {prompt}, writhing tentacles, drowned cities, impossible angles, green-black gloom',
    'cheerful, bright, cute, simple, clean',
  ],
  'Misc Macabre': [
    'macabre still of {prompt}, skulls and wilted flowers, candlelight, morbid elegance, dusty velvet',
    'cheerful, bright, modern, cute',
  ],
  'Misc Manga': [
    'manga drawing of {prompt}, inked contours, screentone shade, expressive faces, panel drama',
    'photo, color painting, 3d, blurry',
  ],
  'Misc Metropolis': [
    'metropolis view of {prompt}, endless skyscrapers, elevated trains, city lights, ambitious scale',
    'village, wilderness, empty, rustic',
  ],
  'Misc Minimalist': [
    'minimalist image of {prompt}, single subject, generous empty space, few colors, simple shape',
    'clutter, ornament, busy, texture, many objects',
  ],
  'Misc Monochrome': [
    'monochrome picture of {prompt}, one hue in many tones, strong contrast, sculpted light',
    'multicolor, rainbow, saturated',
  ],
  'Misc Nautical': [
    'nautical scene of {prompt}, salt wind, rope and brass, rolling sea, weathered ships, blue and white',
    'desert, city, dry, indoor',
  ],
  'Misc Space': [
    'outer space view of {prompt}, starlit void, planets and nebulae, cosmic light, vast silence',
    'ground, city, forest, daylight sky',
  ],
  'Misc Stained Glass': [
    'stained glass window of {prompt}, lead lines, jewel-colored panes, light shining through, simplified forms',
    'photo, 3d, fuzzy edges, opaque, dull',
  ],
  'Misc Techwear Fashion': [
    'techwear fashion of {prompt}, black waterproof layers, straps and buckles, urban night, functional detail',
    'vintage, floral, casual, bright summer',
  ],
  'Misc Tribal': [
    'tribal art of {prompt}, bold rhythmic pattern, carved and painted symbols, earth pigments, ritual power',
    'modern, photo, industrial, pastel',
  ],
  'Misc Zentangle': [
    'zentangle drawing of {prompt}, repeating fine-line patterns, black ink on white, meditative detail',
    'color fill, photo, shading, blank areas, 3d',
  ],
  'Papercraft Collage': [
    'paper collage of {prompt}, torn magazine pieces, mixed textures, layered edges, handmade charm',
    'photo, smooth digital, 3d render, single material',
  ],
  'Papercraft Flat Papercut': [
    'flat papercut of {prompt}, one-layer silhouette, crisp knife edges, solid paper color, graphic shape',
    '3d depth, photo, gradient, sketch',
  ],
  'Papercraft Kirigami': [
    'kirigami of {prompt}, cut and folded paper, pop-up symmetry, white card, delicate shadow',
    'photo, drawing, glue mess, color noise',
  ],
  'Papercraft Paper Mache': [
    'papier-mache sculpture of {prompt}, pasted paper strips, bumpy painted surface, playful handmade form',
    'smooth plastic, photo of real subject, drawing, sleek',
  ],
  'Papercraft Paper Quilling': [
    'paper quilling of {prompt}, coiled paper strips, spiral ornament, standing edges, delicate color',
    'photo, flat print, drawing, smooth',
  ],
  'Papercraft Papercut Collage': [
    'papercut collage of {prompt}, cut colored sheets, overlapping shapes, playful contrast, soft shadow',
    'photo, 3d render, sketch, gradients',
  ],
  'Papercraft Papercut Shadow Box': [
    'papercut shadow box of {prompt}, many layers in a frame, light from within, deep paper diorama',
    'flat, photo, drawing, single layer',
  ],
  'Papercraft Stacked Papercut': [
    'stacked papercut of {prompt}, terraced paper layers, contour depth, tonal color steps, soft shadow',
    'flat, photo, drawing, thin line',
  ],
  'Papercraft Thick Layered Papercut': [
    'thick layered papercut of {prompt}, chunky card, deep relief, strong shadows, bold simple shapes',
    'thin, flat, photo, drawing, fine detail',
  ],
  'Photo Alien': [
    'photo of alien {prompt}, otherworldly anatomy, strange glow, unearthly landscape, convincing realism',
    'ordinary human, cartoon, drawing, painting',
  ],
  'Photo Film Noir': [
    'film noir photo of {prompt}, black and white, venetian-blind shadows, cigarette haze, hard key light',
    'color, bright, cheerful, modern, cartoon',
  ],
  'Photo Glamour': [
    'glamour photo of {prompt}, soft beauty light, satin and sparkle, confident elegance, flawless retouch',
    'drab, messy, casual, harsh flash, cartoon',
  ],
  'Photo Hdr': [
    'HDR photo of {prompt}, wide dynamic range, open shadows, rich highlights, crisp local contrast',
    'flat, blown highlights, crushed blacks, painting',
  ],
  'Photo Iphone Photographic': [
    'smartphone photo of {prompt}, casual framing, natural light, everyday realism, slight noise',
    'studio, dramatic bokeh, painting, render, cartoon',
  ],
  'Photo Long Exposure': [
    'long exposure photo of {prompt}, silky motion, light trails, still foreground, tripod sharpness',
    'frozen motion, handheld blur, noise, cartoon',
  ],
  'Photo Neon Noir': [
    'neon noir photo of {prompt}, rainy street, red and blue glow, deep shadow, lonely night mood',
    'daylight, pastel, cheerful, cartoon, flat',
  ],
  'Photo Silhouette': [
    'silhouette photo of {prompt}, black shape against glowing sky, clear outline, strong backlight',
    'front light, visible detail, cluttered, drawing',
  ],
  'Photo Tilt Shift': [
    'tilt-shift photo of {prompt}, toy-like miniature look, thin focus band, high viewpoint, bright color',
    'everything in focus, close-up, dull, drawing',
  ],
};
