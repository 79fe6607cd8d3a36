// A fake's stand-in for Expivi's viewer script. Only what it draws is here: Expivi's own is 3D, and not public.
(() => {
  'use strict';

  const shade = (color, by) => {
    const part = (at) => {
      const value = parseInt(color.slice(at, at + 2), 16);
      const to = by < 0 ? 0 : 255;
      return Math.round(value + (to - value) * Math.abs(by));
    };
    return `rgb(${part(1)}, ${part(3)}, ${part(5)})`;
  };

  const gradient = (g, [x0, y0, x1, y1], stops) => {
    const filling = g.createLinearGradient(x0, y0, x1, y1);
    stops.forEach((color, index) => filling.addColorStop(index / (stops.length - 1), color));
    return filling;
  };

  const round = (g, x, y, width, height, radius, filling) => {
    g.beginPath();
    g.roundRect(x, y, width, height, radius);
    g.fillStyle = filling;
    g.fill();
  };

  const shadow = (g, x, y, width, height) => {
    g.save();
    g.filter = 'blur(10px)';
    g.fillStyle = 'rgba(30, 36, 50, 0.28)';
    g.beginPath();
    g.ellipse(x, y, width, height, 0, 0, 2 * Math.PI);
    g.fill();
    g.restore();
  };

  /** A shape's path from SVG data. */
  const fill = (g, data, filling, line) => {
    const path = new Path2D(data);
    g.fillStyle = filling;
    g.fill(path);
    if (line) {
      g.strokeStyle = line;
      g.stroke(path);
    }
  };

  // Every drawing has 400 by 400 units. `chosen(name)` gives the chosen value of an attribute, `text(name)` its text.
  const drawings = {
    ring(g, { color, text, chosen }) {
      const metal = color('Metal', '#c3c9d2');
      const size = chosen('Size') === '21 mm' ? 1.1 : 0.95;
      shadow(g, 200, 348, 96 * size, 12);
      g.translate(200, 228);
      g.scale(size, size);
      g.lineWidth = 26;
      g.strokeStyle = gradient(g, [-110, -110, 110, 110], [
        shade(metal, 0.55), metal, shade(metal, -0.35), shade(metal, 0.35), shade(metal, -0.25),
      ]);
      g.beginPath();
      g.ellipse(0, 0, 100, 100, 0, 0, 2 * Math.PI);
      g.stroke();
      g.lineWidth = 1.5;
      for (const [radius, tone] of [[112, -0.3], [88, -0.4]]) {
        g.strokeStyle = shade(metal, tone);
        g.beginPath();
        g.ellipse(0, 0, radius, radius, 0, 0, 2 * Math.PI);
        g.stroke();
      }
      fill(g, 'M-30 -112 L-20 -96 L20 -96 L30 -112 Z', shade(metal, -0.15), shade(metal, -0.4));
      fill(g, 'M0 -96 L-44 -136 L-26 -160 L26 -160 L44 -136 Z', gradient(g, [-44, -160, 44, -96], ['#ffffff', '#bfe0f5', '#e9f7ff', '#93c4e2']), '#8fb4cc');
      g.strokeStyle = 'rgba(110, 150, 180, 0.7)';
      g.stroke(new Path2D('M-44 -136 L44 -136 M-16 -136 L0 -96 L16 -136 L26 -160 M-16 -136 L-26 -160 M-16 -136 L0 -160 L16 -136'));
      const { value, font } = text('Engraving');
      if (value) {
        // Along the inner side of the band, from left to right at the bottom.
        g.font = `italic 19px ${font}, serif`;
        g.fillStyle = shade(metal, -0.7);
        g.textAlign = 'center';
        const letters = [...value].slice(0, 24);
        const step = Math.min(0.15, 2.4 / letters.length);
        letters.forEach((letter, index) => {
          g.save();
          g.rotate(-(index - (letters.length - 1) / 2) * step);
          g.fillText(letter, 0, 106);
          g.restore();
        });
      }
    },

    shirt(g, { color, chosen }) {
      const cloth = color('Color', '#c8323c');
      const size = chosen('Size') === 'Extra large' ? 1.08 : 0.96;
      shadow(g, 200, 356, 104 * size, 9);
      g.translate(200, 200);
      g.scale(size, size);
      g.lineWidth = 2;
      g.lineJoin = 'round';
      const outline = 'M-42 -138 C-20 -118 20 -118 42 -138 L92 -112 L146 -38 L104 -8 L84 -34 C80 30 84 90 88 142 C40 152 -40 152 -88 142 C-84 90 -80 30 -84 -34 L-104 -8 L-146 -38 L-92 -112 Z';
      fill(g, outline, gradient(g, [-140, 0, 140, 0], [shade(cloth, -0.18), shade(cloth, 0.1), cloth, shade(cloth, -0.22)]), shade(cloth, -0.4));
      fill(g, 'M-42 -138 C-20 -118 20 -118 42 -138 C30 -96 -30 -96 -42 -138 Z', shade(cloth, -0.45), shade(cloth, -0.5));
      g.strokeStyle = shade(cloth, -0.25);
      g.stroke(new Path2D('M-84 -34 C-78 -54 -76 -70 -78 -84 M84 -34 C78 -54 76 -70 78 -84 M-87 130 C-40 140 40 140 87 130'));
      g.strokeStyle = 'rgba(255, 255, 255, 0.13)';
      g.lineWidth = 7;
      g.stroke(new Path2D('M-48 -60 C-40 0 -46 60 -42 118 M34 -70 C40 -10 32 40 38 110'));
      round(g, -13, -104, 26, 15, 3, '#f6f4ef');
      g.font = '600 11px sans-serif';
      g.textAlign = 'center';
      g.fillStyle = '#333';
      g.fillText(chosen('Size') === 'Extra large' ? 'XL' : 'L', 0, -92.5);
    },

    wardrobe(g, { color, chosen }) {
      const wood = color('Finish', '#f1f0ec');
      const height = chosen('Height') === '240 cm' ? 300 : 250;
      const [left, top, width] = [105, 352 - height, 190];
      shadow(g, 200, 356, 118, 9);
      round(g, left - 6, top - 6, width + 12, height + 6, 5, shade(wood, -0.28));
      round(g, left, 344, 14, 12, 2, '#4b4038');
      round(g, left + width - 14, 344, 14, 12, 2, '#4b4038');
      for (const side of [0, 1]) {
        const x = left + 3 + side * (width / 2);
        const panel = gradient(g, [x, top, x + width / 2, top + height], [shade(wood, 0.18), wood, shade(wood, -0.12)]);
        round(g, x, top + 3, width / 2 - 6, height - 12, 3, panel);
        g.save();
        g.clip();
        if (chosen('Finish') === 'Oak') {
          g.strokeStyle = shade(wood, -0.22);
          g.lineWidth = 1;
          for (let line = 0; line < 9; line += 1) {
            const at = x + 6 + line * 10;
            g.beginPath();
            g.moveTo(at, top);
            g.bezierCurveTo(at + 7 * Math.sin(line), top + height / 3, at - 6 * Math.cos(line * 2), top + height / 1.6, at, top + height);
            g.stroke();
          }
        }
        g.restore();
        const handle = side === 0 ? x + width / 2 - 18 : x + 8;
        if (chosen('Doors') === 'Soft close') round(g, handle, top + height / 2 - 36, 5, 72, 3, '#5d6470');
        else round(g, handle - 2, top + height / 2 - 5, 10, 10, 5, '#5d6470');
      }
      g.fillStyle = '#7b828d';
      g.font = '12px sans-serif';
      g.textAlign = 'left';
      g.strokeStyle = '#aab0ba';
      g.lineWidth = 1;
      g.stroke(new Path2D(`M320 ${top - 6} h10 M325 ${top - 6} V356 M320 356 h10`));
      g.fillText(chosen('Height'), 334, top + height / 2);
    },

    table(g, { color, parts }) {
      const top = color('Top', '#dcb98a');
      shadow(g, 200, 340, 165, 12);
      const seats = parts.flatMap(({ state, count }) => Array(count).fill(state));
      seats.forEach((seat, index) => {
        g.save();
        g.translate(seats.length === 1 ? 0 : -86 + (172 * index) / (seats.length - 1), -16);
        g.translate(200, 200);
        g.scale(0.78, 0.78);
        g.translate(-200, -200);
        drawings.chair(g, seat);
        g.restore();
      });
      for (const x of [58, 326]) round(g, x, 222, 16, 118, 3, gradient(g, [x, 0, x + 16, 0], [shade(top, -0.15), shade(top, -0.5)]));
      fill(g, 'M66 196 L334 196 L366 226 L34 226 Z', gradient(g, [34, 196, 366, 226], [shade(top, 0.3), top, shade(top, 0.1)]));
      round(g, 34, 225, 332, 14, 3, shade(top, -0.25));
    },

    chair(g, { color }) {
      const fabric = color('Fabric', '#8c939c');
      const wood = '#6d4d35';
      for (const x of [146, 244]) round(g, x, 250, 10, 96, 3, wood);
      for (const x of [160, 230]) round(g, x, 240, 9, 90, 3, shade(wood, -0.3));
      round(g, 142, 110, 116, 112, 22, gradient(g, [142, 110, 258, 222], [shade(fabric, 0.22), fabric, shade(fabric, -0.2)]));
      round(g, 134, 222, 132, 34, 14, gradient(g, [0, 222, 0, 256], [shade(fabric, 0.12), shade(fabric, -0.3)]));
    },

    box(g) {
      shadow(g, 200, 318, 100, 12);
      fill(g, 'M200 90 L300 140 L200 190 L100 140 Z', '#dfe5ee');
      fill(g, 'M100 140 L200 190 L200 310 L100 258 Z', '#b6c1d1');
      fill(g, 'M300 140 L200 190 L200 310 L300 258 Z', '#98a6ba');
    },
  };

  /** Draws a product into a canvas of any size. */
  const draw = (canvas, scene) => {
    const g = canvas.getContext('2d');
    const { width, height } = canvas;
    const light = g.createRadialGradient(width / 2, height * 0.42, 0, width / 2, height * 0.42, Math.max(width, height) * 0.7);
    light.addColorStop(0, '#ffffff');
    light.addColorStop(1, '#e3e8ef');
    g.setTransform(1, 0, 0, 1, 0, 0);
    g.fillStyle = light;
    g.fillRect(0, 0, width, height);
    const scale = Math.min(width, height) / 400;
    g.setTransform(scale, 0, 0, scale, (width - 400 * scale) / 2, (height - 400 * scale) / 2);
    (drawings[scene.drawing] || drawings.box)(g, scene);
  };

  window.FakeExpiviViewer = Object.freeze({ draw });
})();
