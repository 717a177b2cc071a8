"use strict";
// Fills the Bokeh figures of the page and follows the mouse. Text from users is only ever
// set as textContent.
(async () => {
  const header = JSON.parse(document.getElementById("header").textContent);
  const [ny, nx] = header.shape;
  const field = header.field;
  const arrays = {};

  // stxm_live/dashboard/offline_page/page_data.py describes how an array is packed
  async function unpack(name) {
    const { shape, start, step } = header.arrays[name];
    const element = document.getElementById("data-" + name);
    const deflated = Uint8Array.from(atob(element.textContent), (c) => c.charCodeAt(0));
    const stream = new Blob([deflated]).stream().pipeThrough(new DecompressionStream("deflate"));
    const planes = new Uint8Array(await new Response(stream).arrayBuffer());
    const size = planes.length / 2;
    const width = shape[shape.length - 1];
    const values = new Float32Array(size);
    for (let row = 0; row < size; row += width) {
      let code = 0;
      for (let i = row; i < row + width; i++) {
        const zigzag = planes[i] | (planes[size + i] << 8);
        code = (code + ((zigzag >> 1) ^ -(zigzag & 1))) & 65535;
        values[i] = code === 0 ? NaN : start + (code - 1) * step;
      }
    }
    arrays[name] = values;
  }

  function rgba(color) {
    const n = parseInt(color.slice(1), 16);
    return ((255 << 24) | ((n & 255) << 16) | (n & 0xff00) | (n >> 16)) >>> 0;
  }
  const phaseColors = header.colors.map(rgba);
  const heat = header.heat.map(rgba);
  const neutral = Object.fromEntries(
    Object.entries(header.neutral).map(([name, color]) => [name, rgba(color)])
  );
  const ramp = (value, top) =>
    Number.isNaN(value)
      ? neutral.ground
      : heat[Math.max(0, Math.min(255, Math.floor((256 * value) / top)))];

  const shareOf = () => Number(document.getElementById("share-of").value);
  const rampBetween = ([low, high]) => (value) => ramp(value - low, high - low);

  const od = () => {
    const b = header.block_px;
    const columns = Math.ceil(nx / b);
    const plane = columns * Math.ceil(ny / b);
    return (energy, pixel) =>
      arrays.od[
        energy * plane + Math.floor(Math.floor(pixel / nx) / b) * columns + Math.floor((pixel % nx) / b)
      ];
  };

  function colorOf(name) {
    const values = arrays[name];
    if (name === "wrong_probability") return (p) => ramp(values[p], 0.5);
    if (name === "reliability") return (p) => ramp(values[p], header.top_reliability);
    if (name === "od") return odColor();
    if (header.ranges[name]) {
      const color = rampBetween(header.ranges[name]);
      const start = name === "composition" ? shareOf() * ny * nx : 0;
      return (p) => color(values[start + p]);
    }
    if (name === "ambiguous") {
      const { specimen, valid, unidentified } = arrays;
      return (p) => {
        if (!specimen[p]) return neutral.ground;
        if (!valid[p]) return neutral.invalid;
        if (values[p]) return neutral.ambiguous;
        return unidentified[p] ? neutral.unidentified : neutral.specimen;
      };
    }
    return (p) => (values[p] < 0 ? neutral.ground : phaseColors[values[p]]);
  }

  let odRange = [0, 1];
  function odColor() {
    const energy = Number(document.getElementById("energy").value);
    const at = od();
    const sorted = Float32Array.from({ length: ny * nx }, (_, p) => at(energy, p))
      .filter((v) => !Number.isNaN(v))
      .sort();
    const quantile = (q) => sorted[Math.round(q * (sorted.length - 1))] ?? 0;
    const [low, high] = [quantile(0.005), quantile(0.995)];
    odRange = [low, high > low ? high : low + 1];
    return (p) => {
      const value = at(energy, p);
      if (Number.isNaN(value)) return neutral.no_data;
      const grey = Math.max(0, Math.min(255, Math.round((255 * (value - low)) / (odRange[1] - low))));
      return ((255 << 24) | (grey << 16) | (grey << 8) | grey) >>> 0;
    };
  }

  const model = (name) => Bokeh.documents.map((d) => d.get_model_by_name(name)).find(Boolean);
  const flipX = field.x_last < field.x_first;
  const flipY = field.y_last < field.y_first;

  // Bokeh's first row is the lowest on the screen
  function paint(name) {
    const source = model(name + "-image");
    const color = colorOf(name);
    const image = new Uint32Array(ny * nx);
    for (let row = 0, q = 0; row < ny; row++) {
      const from = (flipY ? ny - 1 - row : row) * nx;
      for (let column = 0; column < nx; column++, q++) {
        image[q] = color(from + (flipX ? nx - 1 - column : column));
      }
    }
    const NDArray = source.data.image[0].constructor;
    source.data = { image: [new NDArray(image, [ny, nx])] };
  }

  function entry(color, text) {
    const span = document.createElement("span");
    if (color) {
      const swatch = document.createElement("i");
      swatch.className = "swatch";
      swatch.style.background = color;
      span.append(swatch);
    }
    span.append(text);
    span.title = text;
    return span;
  }

  function rampEntry(colors, low, high) {
    const span = document.createElement("span");
    const bar = document.createElement("i");
    bar.className = "ramp";
    bar.style.background = `linear-gradient(to right, ${colors.join(",")})`;
    span.append(low, bar, high);
    return span;
  }

  function legend(name) {
    const box = document.getElementById("legend-" + name);
    const some = header.heat.filter((_, k) => k % 15 === 0);
    if (name === "wrong_probability") box.replaceChildren(rampEntry(some, "0", "0.5 and more"));
    else if (name === "reliability")
      box.replaceChildren(rampEntry(some, "0", header.top_reliability.toPrecision(2) + " and more"));
    else if (name === "od")
      box.replaceChildren(
        rampEntry(["#000", "#fff"], odRange[0].toFixed(2), odRange[1].toFixed(2) + "  OD"),
        ...(arrays.od.some(Number.isNaN) ? [entry(header.neutral.no_data, "no value")] : [])
      );
    else if (header.ranges[name]) {
      const [low, high] = header.ranges[name].map((v) => Number(v.toPrecision(3)));
      const ends = { composition: ["0", "100 %"], thickness: ["0", `${high} and more`] };
      box.replaceChildren(rampEntry(some, ...(ends[name] ?? [`≤ ${low}`, `≥ ${high}`])));
    } else box.replaceChildren(...shares(name));
  }

  function shares(name) {
    const counts = {};
    let total = 0;
    for (let p = 0; p < ny * nx; p++) {
      if (!arrays.specimen[p]) continue;
      let kind = arrays[name][p];
      if (name === "ambiguous") {
        kind = !arrays.valid[p] ? "no valid spectrum" : kind ? "ambiguous" : arrays.unidentified[p] ? "no reference fits" : "clear";
      } else if (kind < 0) continue;
      counts[kind] = (counts[kind] ?? 0) + 1;
      if (kind !== "no valid spectrum") total += 1;
    }
    const percent = (key) => ((100 * (counts[key] ?? 0)) / Math.max(1, total)).toFixed(1) + " %  ";
    if (name !== "ambiguous")
      return header.phases.map((phase, k) => entry(header.colors[k], percent(k) + phase));
    const colors = header.neutral;
    const kinds = [
      [colors.specimen, "clear"],
      [colors.ambiguous, "ambiguous"],
      [colors.unidentified, "no reference fits"],
    ].filter(([, key]) => key !== "no reference fits" || counts[key]);
    const entries = kinds.map(([color, key]) => entry(color, percent(key) + key));
    const invalid = counts["no valid spectrum"];
    if (invalid) entries.push(entry(colors.invalid, `${invalid} px no valid spectrum`));
    return entries;
  }

  // least squares, factor and constant; only a factor if the factor would be negative
  function scaledTo(reference, spectrum) {
    const known = spectrum.map((v, e) => e).filter((e) => !Number.isNaN(spectrum[e]));
    const mean = (values) => known.reduce((sum, e) => sum + values[e], 0) / Math.max(1, known.length);
    const [mx, my] = [mean(reference), mean(spectrum)];
    let [xy, xx, xy0, xx0] = [0, 0, 0, 0];
    for (const e of known) {
      xy += (reference[e] - mx) * spectrum[e];
      xx += (reference[e] - mx) ** 2;
      xy0 += reference[e] * spectrum[e];
      xx0 += reference[e] ** 2;
    }
    if (known.length > 1 && xy > 0) return reference.map((v) => (xy / xx) * (v - mx) + my);
    return reference.map((v) => (xx0 > 0 ? xy0 / xx0 : 1) * v);
  }

  const size = ny * nx;
  const at = (name, pixel, layer = 0) => (arrays[name] ? arrays[name][layer * size + pixel] : NaN);
  const phaseAt = (name, pixel) => (at(name, pixel) >= 0 ? header.phases[at(name, pixel)] : "none");
  const decimals = (value, digits) => (Number.isNaN(value) ? "–" : value.toFixed(digits));

  function describe(row, column) {
    const p = row * nx + column;
    const unit = field.unit === "um" ? "µm" : "px";
    const lines = [
      `row ${row}, column ${column}: x ${centre(column, nx, "x").toFixed(3)}, y ${centre(row, ny, "y").toFixed(3)} ${unit}`,
      `mean counts per energy ${decimals(at("counts", p), 0)}`,
    ];
    if (!at("specimen", p)) lines.push("no specimen here");
    else if (!at("valid", p)) lines.push("no valid spectrum");
    else {
      if (arrays.resolved_index)
        lines.push(
          `resolved ${phaseAt("resolved_index", p)}` +
            (arrays.wrong_probability ? `, wrong with probability ${decimals(at("wrong_probability", p), 3)}` : "")
        );
      if (arrays.corrected_index)
        lines.push(
          `with corrected energy axis ${phaseAt("corrected_index", p)}, ` +
            `wrong with probability ${decimals(at("corrected_wrong_probability", p), 3)}`
        );
      let text = `by correlation ${phaseAt("phase_index", p)}, R ${decimals(at("reliability", p), 2)}`;
      if (at("ambiguous", p)) {
        const pair = [0, 1].map((rank) => header.phases[at("ambiguous_pair", p, rank)]);
        text += `, ambiguous: ${pair.join(" or ")}`;
      }
      if (at("unidentified", p)) text += ", no reference fits";
      lines.push(text);
      for (const name of ["value", "thickness"])
        if (arrays[name]) {
          const title = document.querySelector(`#map-${name} h2`).textContent;
          lines.push(`${title} ${decimals(at(name, p), 2)} ± ${decimals(at(name + "_std", p), 2)}`);
        }
    }
    return lines.join("\n");
  }

  function centre(k, n, axis) {
    const [first, last] = [field[axis + "_first"], field[axis + "_last"]];
    return first + ((k + 0.5) / n) * (last - first);
  }

  function cell(text, parent, kind = "td") {
    const element = document.createElement(kind);
    element.textContent = text;
    parent.append(element);
    return element;
  }

  // an interval of 95 % where a phase cannot be distinguished
  function shareText(share, std, k) {
    if (Number.isNaN(share)) return "–";
    if (header.distinguished[k]) return `${(100 * share).toFixed(0)} ± ${(100 * std).toFixed(0)} %`;
    const end = (value) => (100 * Math.max(0, Math.min(1, value))).toFixed(0);
    return `${end(share - 1.96 * std)} to ${end(share + 1.96 * std)} %`;
  }

  function table(p) {
    const rows = [document.createElement("tr")];
    for (const title of ["phase", "Pearson", arrays.probability ? "probability" : "", arrays.composition ? "composition" : ""])
      cell(title, rows[0], "th");
    const best = arrays.resolved_index ? at("resolved_index", p) : at("phase_index", p);
    header.phases.forEach((phase, k) => {
      const row = document.createElement("tr");
      if (k === best) row.className = "best";
      const first = cell("", row);
      first.append(entry(header.colors[k], phase));
      cell(decimals(at("correlation", p, k), 3), row);
      cell(arrays.probability ? decimals(at("probability", p, k), 3) : "", row);
      cell(arrays.composition ? shareText(at("composition", p, k), at("composition_std", p, k), k) : "", row);
      rows.push(row);
    });
    document.getElementById("pixel-table").replaceChildren(...rows);
    return best;
  }

  const read = od();
  function show(row, column) {
    const p = row * nx + column;
    document.getElementById("pixel-text").textContent = describe(row, column);
    const best = table(p);
    const energies = header.energies_ev;
    const spectrum = energies.map((_, e) => read(e, p));
    model("pixel").data = { x: energies, y: spectrum };
    const isKnown = at("specimen", p) && at("valid", p);
    const scaled = header.references.map((r) =>
      isKnown ? scaledTo(r, spectrum) : r.map(() => NaN)
    );
    const seen = [...spectrum, ...scaled.flat()].filter((v) => !Number.isNaN(v));
    if (seen.length) {
      const [low, high] = [Math.min(...seen), Math.max(...seen)];
      // at least 0.2 OD, so that the noise of an empty pixel looks like noise
      const margin = Math.max(0.08 * (high - low), 0.1 - (high - low) / 2);
      model("spectrum").y_range.setv({ start: low - margin, end: high + margin });
    }
    model("references").data = {
      xs: header.phases.map(() => energies),
      ys: scaled,
      color: header.colors,
      width: header.phases.map((_, k) => (k === best ? 4 : 1.5)),
    };
  }

  function pixelAt(x, y) {
    const column = Math.floor(((x - field.x_first) / (field.x_last - field.x_first)) * nx);
    const row = Math.floor(((y - field.y_first) / (field.y_last - field.y_first)) * ny);
    return row >= 0 && row < ny && column >= 0 && column < nx ? [row, column] : null;
  }

  let pinned = null;
  const mark = (name, pixel) => {
    model(name).data = pixel
      ? { x: [centre(pixel[1], nx, "x")], y: [centre(pixel[0], ny, "y")] }
      : { x: [], y: [] };
  };
  function onMove({ x, y }) {
    const pixel = pixelAt(x, y);
    mark("hover-mark", pixel);
    if (pixel && !pinned) show(...pixel);
  }
  function onTap({ x, y }) {
    const pixel = pixelAt(x, y);
    if (!pixel) return;
    const isSame = pinned && pinned[0] === pixel[0] && pinned[1] === pixel[1];
    pinned = isSame ? null : pixel;
    mark("pin-mark", pinned);
    show(...pixel);
  }

  try {
    for (const name of Object.keys(header.arrays)) await unpack(name);
    while (!(window.Bokeh && Bokeh.documents.length && header.maps.every(model)))
      await new Promise((done) => setTimeout(done, 20));
    const slider = document.getElementById("energy");
    slider.value = header.od_energy;
    const showEnergy = () => {
      document.getElementById("energy-name").textContent =
        header.energies_ev[slider.value].toFixed(2) + " eV";
      paint("od");
      legend("od");
    };
    slider.addEventListener("input", showEnergy);
    document.getElementById("share-of")?.addEventListener("input", () => paint("composition"));
    for (const name of header.maps) {
      if (name !== "od") {
        paint(name);
        legend(name);
      }
      model(name).on_event("mousemove", onMove);
      model(name).on_event("mouseleave", () => mark("hover-mark", null));
      model(name).on_event("tap", onTap);
    }
    showEnergy();
    header.colors.forEach((color, k) => {
      for (const swatch of document.querySelectorAll(".phase-" + k)) swatch.style.background = color;
    });
    document.getElementById("trouble").remove();
    document.documentElement.dataset.ready = "yes";
  } catch (error) {
    document.getElementById("trouble").textContent = "The maps cannot be shown: " + error;
    throw error;
  }
})();
