import type { StyleTexts } from './style-texts.ts';

/** Crafts, printing processes and art of many peoples. */
export const mkStyles: StyleTexts = {
  'Mk Chromolithography': [
    'chromolithograph of {prompt}, 19th-century color print, stone grain, layered inks, decorative trade-card look',
    'photo, digital, neon, blurry, 3d',
  ],
  'Mk Cross Processing Print': [
    'cross-processed print of {prompt}, shifted greens and yellows, harsh contrast, experimental film color',
    'neutral color, digital clean, painting, 3d',
  ],
  'Mk Dufaycolor Photograph': [
    'Dufaycolor photograph of {prompt}, 1930s additive color screen, fine mosaic grain, gentle faded hues',
    'modern digital, saturated, sharp, painting',
  ],
  'Mk Herbarium': [
    'herbarium sheet of {prompt}, pressed and mounted specimens, aged paper, handwritten labels, botanical order',
    'photo of landscape, 3d, vivid, cluttered',
  ],
  'Mk Punk Collage': [
    'punk collage of {prompt}, ripped flyers, ransom-note cutouts, safety pins, xerox black and acid color',
    'clean, corporate, smooth, pastel, 3d',
  ],
  'Mk Mosaic': [
    'mosaic of {prompt}, small stone and glass tesserae, grout lines, rhythmic rows, gleaming gold bits',
    'photo, smooth, gradient, brush strokes',
  ],
  'Mk Van Gogh': [
    'painting of {prompt} in the manner of Vincent van Gogh, swirling thick strokes, vibrating blue and yellow',
    'photo, smooth, flat, 3d, anime',
  ],
  'Mk Coloring Book': [
    'coloring book page of {prompt}, clean black outlines, empty white areas, simple closed shapes',
    'color, grey shading, photo, gradient, texture',
  ],
  'Mk Singer Sargent': [
    'portrait-style oil of {prompt} in the manner of John Singer Sargent, fluid bravura strokes, elegant light',
    'photo, flat, cartoon, stiff, 3d',
  ],
  'Mk Pollock': [
    'action painting of {prompt}, poured and flung enamel, tangled drips over the whole canvas, raw rhythm',
    'figurative realism, photo, tidy, flat',
  ],
  'Mk Basquiat': [
    'neo-expressionist street painting of {prompt}, scrawled crowns and words, raw figures, scratched color',
    'photo, tidy, smooth, realistic, 3d',
  ],
  'Mk Andy Warhol': [
    'silkscreen series of {prompt}, repeated panels, off-register flat color, celebrity pop glamour',
    'photo realism, subtle shading, muted, 3d',
  ],
  'Mk Halftone Print': [
    'halftone print of {prompt}, visible dot screen, CMYK offset, newsprint texture, graphic contrast',
    'smooth gradient, photo, 3d, blur',
  ],
  'Mk Gond Painting': [
    'Gond painting of {prompt}, animals and trees filled with dots and dashes, bright folk color, flowing contour',
    'photo, shading, realism, empty areas, 3d',
  ],
  'Mk Albumen Print': [
    'albumen print of {prompt}, 19th-century sepia, glossy paper, soft edges, long-exposure stillness',
    'color, modern, sharp digital, painting',
  ],
  'Mk Aquatint Print': [
    'aquatint print of {prompt}, grainy tonal washes, etched line, deep plate blacks, soft tonal steps',
    'photo, bright color, smooth digital, 3d',
  ],
  'Mk Anthotype Print': [
    'anthotype print of {prompt}, plant-juice tint, pale botanical hues, soft ghostly image, rough paper',
    'vivid, sharp, digital, glossy, 3d',
  ],
  'Mk Inuit Carving': [
    'Inuit carving of {prompt}, smooth soapstone or bone, simple rounded volumes, arctic quiet',
    'plastic, colorful, busy, drawing, photo of people',
  ],
  'Mk Bromoil Print': [
    'bromoil print of {prompt}, brushed ink tones, painterly grain, soft pictorial mood, matte paper',
    'color, sharp digital, glossy, 3d',
  ],
  'Mk Calotype Print': [
    'calotype print of {prompt}, 1840s paper negative, fibrous softness, warm brown tone, uneven edges',
    'color, modern, sharp, digital, glossy',
  ],
  'Mk Color Sketchnote': [
    'color sketchnote of {prompt}, hand-drawn icons, marker highlights, arrows and frames, friendly clarity',
    'photo, 3d, realism, dark, cluttered',
  ],
  'Mk Cibulak Porcelain': [
    'Cibulak porcelain of {prompt}, cobalt blue onion pattern on white glaze, hand-painted ornament',
    'other colors, photo scene, rough, matte, dirty',
  ],
  'Mk Alcohol Ink Art': [
    'alcohol ink art of {prompt}, fluid blooms, translucent color veins, soft marbled edges, white gaps',
    'hard line, photo, realism, opaque, 3d',
  ],
  'Mk One Line Art': [
    'one-line drawing of {prompt}, single unbroken black line, white paper, elegant economy',
    'shading, color, many strokes, photo, 3d',
  ],
  'Mk Blacklight Paint': [
    'blacklight painting of {prompt}, fluorescent pigments glowing under ultraviolet, dark background, electric color',
    'daylight, muted, white background, photo',
  ],
  'Mk Carnival Glass': [
    'carnival glass piece of {prompt}, iridescent pressed glass, oil-slick shimmer, molded ornament',
    'matte, flat drawing, wood, dull',
  ],
  'Mk Cyanotype Print': [
    'cyanotype print of {prompt}, Prussian blue and white, sun-printed shadows, brushed paper border',
    'other colors, digital gloss, 3d',
  ],
  'Mk Cross Stitching': [
    'cross-stitch of {prompt}, tiny x-shaped thread stitches on woven fabric, pixel-like pattern',
    'photo, smooth, paint, 3d, blur',
  ],
  'Mk Encaustic Paint': [
    'encaustic painting of {prompt}, pigmented beeswax layers, translucent depth, scraped texture',
    'photo, smooth digital, glossy plastic, line art',
  ],
  'Mk Embroidery': [
    'embroidery of {prompt}, satin stitch and knots, raised colored thread, linen ground, handcrafted',
    'photo, paint, smooth, 3d plastic',
  ],
  'Mk Gyotaku': [
    'gyotaku print of {prompt}, inked impression rubbed on rice paper, black ink texture, red seal',
    'color photo, 3d, smooth, digital',
  ],
  'Mk Luminogram': [
    'luminogram of {prompt}, camera-less light drawing, glowing gradients on black, abstract photographic paper',
    'color scene, illustration, daylight, detail',
  ],
  'Mk Lite Brite Art': [
    'glowing peg-board toy picture of {prompt}, colored light pegs on black grid, chunky dots',
    'smooth, photo, daylight, line art',
  ],
  'Mk Mokume Gane': [
    'mokume-gane metalwork of {prompt}, wood-grain layers of copper and silver, forged and polished',
    'plastic, flat color, drawing, rust',
  ],
  'Pebble Art': [
    'pebble art of {prompt}, arranged smooth stones, natural greys and browns, simple composition on board',
    'paint, photo of real subject, plastic, busy',
  ],
  'Mk Palekh': [
    'Palekh lacquer miniature of {prompt}, black ground, fine gold lines, jewel tempera, Russian folk tale',
    'photo, modern, white background, rough',
  ],
  'Mk Suminagashi': [
    'suminagashi marbling of {prompt}, floating ink rings, delicate ripples, pale paper, flowing chance',
    'hard edges, photo, bright neon, 3d',
  ],
  'Mk Scrimshaw': [
    'scrimshaw of {prompt}, fine engraved lines on ivory-toned bone, inked whaling-era detail',
    'color, photo, 3d plastic, thick brush',
  ],
  'Mk Shibori': [
    'shibori textile of {prompt}, indigo tie-dye, folded and bound resist pattern, soft white edges',
    'photo, many colors, sharp lines, 3d',
  ],
  'Mk Vitreous Enamel': [
    'vitreous enamel of {prompt}, fired glass color on metal, cloisonne wires, glossy depth',
    'matte, paper, photo, sketch',
  ],
  'Mk Ukiyo E': [
    'ukiyo-e woodblock print of {prompt}, flowing outlines, flat color bands, Edo-period composition, washi paper',
    'photo, 3d, shading, modern, neon',
  ],
  'Mk Vintage Airline Poster': [
    'vintage airline poster of {prompt}, sleek plane, sunny destination, flat mid-century color, bold shapes',
    'photo, modern, gritty, 3d, cluttered',
  ],
  'Mk Vintage Travel Poster': [
    'vintage travel poster of {prompt}, scenic view, simplified shapes, warm lithograph color, golden-age charm',
    'photo, modern, 3d, gritty, noise',
  ],
  'Mk Bauhaus Style': [
    'Bauhaus design of {prompt}, circle square triangle, primary colors, functional grid, clean balance',
    'ornament, realism, photo, baroque, texture',
  ],
  'Mk Afrofuturism': [
    'afrofuturist vision of {prompt}, African pattern and gold, advanced technology, cosmic pride, radiant color',
    'plain, dull, medieval Europe, lowres',
  ],
  'Mk Atompunk': [
    'atompunk scene of {prompt}, atomic-age chrome, rocket fins, reactor glow, 1950s space-race design',
    'medieval, modern minimal, rustic, gritty',
  ],
  'Mk Constructivism': [
    'constructivism of {prompt}, agitational diagonals, photomontage, red wedge, industrial geometry',
    'ornament, pastel, soft, realism',
  ],
  'Mk Chicano Art': [
    'Chicano art of {prompt}, mural color, fine-line shading, roses and lowriders, cultural pride',
    'plain, corporate, anime, 3d, blurry',
  ],
  'Mk De Stijl': [
    'De Stijl composition of {prompt}, black grid lines, red yellow blue planes, white field, strict right angles',
    'curves, realism, shading, photo, green',
  ],
  'Mk Dayak Art': [
    'Dayak art of {prompt}, Borneo spirals and hornbills, carved wood and beadwork, black red and white',
    'modern, photo, pastel, 3d plastic',
  ],
  'Mk Fayum Portrait': [
    'Fayum-style portrait of {prompt}, Roman Egypt, wax paint on wood, large dark eyes, gold leaf, aged panel',
    'modern, photo, anime, neon',
  ],
  'Mk Illuminated Manuscript': [
    'illuminated manuscript page of {prompt}, gold leaf initials, vellum, ornate border, medieval miniature',
    'modern, photo, 3d, neon, blur',
  ],
  'Mk Kalighat Painting': [
    'Kalighat painting of {prompt}, bold sweeping outline, shaded curves, plain ground, Bengali bazaar art',
    'photo, cluttered, 3d, fine realism',
  ],
  'Mk Madhubani Painting': [
    'Madhubani painting of {prompt}, double outlines, fish and flower fill, bright natural dyes, Mithila folk art',
    'photo, empty space, shading, 3d',
  ],
  'Mk Pictorialism': [
    'pictorialist photograph of {prompt}, soft focus, misty tones, painterly print, romantic mood around 1900',
    'sharp digital, vivid color, snapshot, cartoon',
  ],
  'Mk Pichwai Painting': [
    'Pichwai painting of {prompt}, lotus ponds and cows, devotional cloth, deep green and gold, fine ornament',
    'photo, modern, plain, 3d',
  ],
  'Mk Patachitra Painting': [
    'Pattachitra painting of {prompt}, cloth scroll, ornate border, strong red and yellow, Odisha myth scene',
    'photo, modern, plain, 3d, blur',
  ],
  'Mk Samoan Art Inspired': [
    'Samoan-inspired art of {prompt}, siapo bark-cloth motifs, tatau geometry, brown and black rhythm',
    'photo, pastel, modern, 3d',
  ],
  'Mk Tlingit Art': [
    'Tlingit formline art of {prompt}, ovoids and u-shapes, black red and teal, carved cedar totem design',
    'photo, realism, gradient, 3d plastic',
  ],
  'Mk Adnate Style': [
    'huge mural portrait of {prompt}, photoreal spray paint on a building, expressive eyes, warm street light',
    'flat cartoon, small, blurry, indoor',
  ],
  'Mk Ron English Style': [
    'pop-surreal satire of {prompt}, twisted mascots, candy-bright airbrush, grinning skull motifs',
    'muted, realistic, plain, photo',
  ],
  'Mk Shepard Fairey Style': [
    'street propaganda poster of {prompt}, stencil portrait, red cream and navy, ornamental rays, bold contrast',
    'photo, gradient, pastel, 3d',
  ],
};
