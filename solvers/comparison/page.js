"use strict";
// The page's behaviour. What is chosen stands in the address (#slice=3&row=40&metric=psnr), so that it can be sent around.
(function () {
  const data = JSON.parse(document.getElementById("data").textContent);
  const byId = (id) => document.getElementById(id);
  const chosen = Object.fromEntries(new URLSearchParams(location.hash.slice(1)));

  function remember(name, value) {
    chosen[name] = String(value);
    try {
      history.replaceState(null, "", "#" + new URLSearchParams(chosen));
    } catch (error) {
      // Some viewers of attachments give pages no address; nothing is lost but the link.
    }
  }

  function number(value) {
    return Number(value.toPrecision(4)).toString();
  }

  // The colours of the curves stand in the table, too.
  document.querySelectorAll("#results tbody th").forEach((cell, i) => {
    const dot = document.createElement("span");
    dot.className = "dot";
    dot.style.background = data.runs[i].failed ? "#ccc" : data.runs[i].color;
    cell.prepend(dot);
  });

  const layout = {
    margin: { l: 64, r: 16, t: 10, b: 48 },
    font: { family: "inherit", size: 13, color: "#1c2733" },
    hovermode: "closest",
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    legend: { orientation: "h", y: 1.12, x: 0 },
    modebar: { bgcolor: "rgba(255,255,255,0.8)", color: "#9aa5b1", activecolor: "#0b5c8a" },
  };
  const axis = { gridcolor: "#e8ecf1", zerolinecolor: "#cfd6df", linecolor: "#9aa5b1", automargin: true };
  const options = { responsive: true, displaylogo: false, modeBarButtonsToRemove: ["lasso2d", "select2d"] };

  // ------------------------------------------------------------------------------------------------- convergence
  function buttons(holder, choices, name, change) {
    for (const [value, label] of choices) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = label;
      button.dataset.value = value;
      button.addEventListener("click", () => { remember(name, value); change(); });
      byId(holder).append(button);
    }
  }

  function press(holder, value) {
    for (const button of byId(holder).children) {
      button.setAttribute("aria-pressed", String(button.dataset.value === value));
    }
  }

  function drawCurves() {
    const metric = data.metrics.find((m) => m.name === chosen.metric) || data.metrics[0];
    const against = chosen.against in data.against ? chosen.against : "iteration";
    press("metric-buttons", metric.name);
    press("against-buttons", against);
    const logX = byId("log-x").checked, logY = byId("log-y").checked;
    const drawn = data.runs.filter((run) => (run.curves[metric.name] || []).some((v) => v !== null));
    const places = drawn.flatMap((run) => run.curves["against " + against]).filter((v) => v !== null && (!logX || v > 0));
    const ends = places.length ? [Math.min(...places), Math.max(...places)] : [0, 1];
    const traces = [];
    for (const run of drawn) {
      const x = run.curves["against " + against], y = run.curves[metric.name];
      const shared = { name: run.name, legendgroup: run.name, line: { color: run.color, width: 2.2 } };
      if (y.length > 1) {
        const marker = { size: x.map((_, i) => (i === x.length - 1 ? 8 : 4)), color: run.color };
        traces.push({ ...shared, x, y, mode: "lines+markers", marker });
      } else {
        // A method without iterations is a level to be reached; what it cost is a point.
        const line = { color: run.color, width: 1.6, dash: "dash" };
        traces.push({ ...shared, x: ends, y: [y[0], y[0]], mode: "lines", line, hoverinfo: "name+y" });
        if (against !== "iteration" && x[0] !== null) {
          traces.push({ ...shared, x, y, mode: "markers", marker: { size: 9, color: run.color }, showlegend: false });
        }
      }
    }
    Plotly.react("curves", traces, {
      ...layout,
      xaxis: { ...axis, title: { text: data.against[against] }, type: logX ? "log" : "linear" },
      yaxis: { ...axis, title: { text: metric.heading }, type: logY ? "log" : "linear" },
    }, options);
  }

  if (data.metrics.length && data.runs.some((run) => Object.keys(run.curves).length)) {
    buttons("metric-buttons", data.metrics.map((m) => [m.name, m.heading]), "metric", drawCurves);
    buttons("against-buttons", Object.entries(data.against), "against", drawCurves);
    byId("log-x").addEventListener("change", drawCurves);
    byId("log-y").addEventListener("change", drawCurves);
    drawCurves();
  } else {
    byId("convergence").hidden = true;
  }

  // ------------------------------------------------------------------------------------------------------ images
  const images = data.images;
  if (images === null) {
    byId("images").hidden = true;
    document.documentElement.dataset.ready = "yes";
    return;
  }
  const [slices, rows, columns] = images.shape;
  const unit = (images.high - images.low) / 65535;

  function decoded(text) {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    return new Uint16Array(bytes.buffer);
  }

  const volumes = images.panels.map((panel) => decoded(panel.values));
  const colors = {};
  for (const run of data.runs) colors[run.name] = run.color;

  function clamp(value, low, high) { return Math.min(Math.max(value, low), high); }
  function whole(text, size, otherwise) {
    const value = parseInt(text, 10);
    return Number.isNaN(value) ? otherwise : clamp(value, 0, size - 1);
  }

  let slice = whole(chosen.slice, slices, slices >> 1);
  let row = whole(chosen.row, rows, rows >> 1);

  function valueAt(panel, r, c) { return images.low + unit * volumes[panel][(slice * rows + r) * columns + c]; }

  function differenceAt(panel, r, c) {
    const i = (slice * rows + r) * columns + c;
    return unit * (volumes[panel][i] - volumes[0][i]);
  }

  // Blue through white to red, for differences from minus one to one.
  function diverging(t) {
    const strength = Math.pow(Math.min(Math.abs(t), 1), 0.8);
    const [r, g, b] = t < 0 ? [33, 102, 172] : [178, 24, 43];
    return [247 + strength * (r - 247), 247 + strength * (g - 247), 247 + strength * (b - 247)];
  }

  const pictures = images.panels.map((panel, index) => {
    const figure = document.createElement("figure");
    const caption = document.createElement("figcaption");
    const name = document.createElement("span");
    name.textContent = panel.name;
    name.title = panel.name;
    const value = document.createElement("span");
    value.className = "value";
    caption.append(name, value);
    const picture = document.createElement("div");
    picture.className = "picture";
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    canvas.style.aspectRatio = String(columns / (rows * images.tall));
    const line = document.createElement("div");
    line.className = "line";
    picture.append(canvas, line);
    figure.append(caption, picture);
    byId("panels").append(figure);

    function pixel(event) {
      const box = canvas.getBoundingClientRect();
      const c = clamp(Math.floor(((event.clientX - box.left) / box.width) * columns), 0, columns - 1);
      const r = clamp(Math.floor(((event.clientY - box.top) / box.height) * rows), 0, rows - 1);
      return [rows - 1 - r, c]; // y points upwards
    }
    canvas.addEventListener("mousemove", (event) => {
      const [r, c] = pixel(event);
      const shown = byId("difference").checked && index > 0 ? differenceAt(index, r, c) : valueAt(index, r, c);
      value.textContent = `[${r * images.step[1]}, ${c * images.step[2]}] ${number(shown)}`;
    });
    canvas.addEventListener("mouseleave", () => { value.textContent = ""; });
    canvas.addEventListener("click", (event) => { setRow(pixel(event)[0]); });
    return { canvas, line, name };
  });


  function drawImages() {
    const low = parseFloat(byId("low").value), high = parseFloat(byId("high").value);
    const span = high > low ? high - low : 1;
    const differences = byId("difference").checked;
    pictures.forEach(({ canvas, name }, index) => {
      const context = canvas.getContext("2d");
      const image = context.createImageData(columns, rows);
      const signed = differences && index > 0;
      name.textContent = images.panels[index].name + (signed ? " − truth" : "");
      let k = 0;
      for (let r = rows - 1; r >= 0; r--) {
        for (let c = 0; c < columns; c++, k += 4) {
          if (signed) {
            const [red, green, blue] = diverging(differenceAt(index, r, c) / images.difference);
            image.data[k] = red;
            image.data[k + 1] = green;
            image.data[k + 2] = blue;
          } else {
            const grey = ((valueAt(index, r, c) - low) / span) * 255;
            image.data[k] = image.data[k + 1] = image.data[k + 2] = grey;
          }
          image.data[k + 3] = 255;
        }
      }
      context.putImageData(image, 0, 0);
    });
    const context = byId("scale").getContext("2d");
    const strip = context.createImageData(256, 1);
    for (let i = 0; i < 256; i++) {
      const color = differences ? diverging((i - 127.5) / 127.5) : [i, i, i];
      strip.data.set([...color.map(Math.round), 255], 4 * i);
    }
    context.putImageData(strip, 0, 0);
    const bounds = differences ? [-images.difference, 0, images.difference] : [low, (low + high) / 2, high];
    byId("scale-ends").replaceChildren(...bounds.map((value) => {
      const text = document.createElement("span");
      text.textContent = number(value);
      return text;
    }));
  }

  function drawProfiles() {
    const top = `${(100 * (rows - row - 0.5)) / rows}%`;
    for (const { line } of pictures) line.style.top = top;
    const traces = images.panels.map((panel, index) => ({
      name: panel.name,
      x: images.x,
      y: Array.from({ length: columns }, (_, c) => valueAt(index, row, c)),
      mode: "lines",
      line: images.truth && index === 0 ? { color: "#b5bcc6", width: 5 } : { color: colors[panel.name], width: 1.6 },
    }));
    Plotly.react("profiles", traces, {
      ...layout,
      xaxis: { ...axis, title: { text: images["x label"] } },
      yaxis: { ...axis, title: { text: "value" } },
    }, options);
  }

  function setRow(value) {
    row = value;
    byId("row").value = String(row);
    byId("row-value").textContent = `${row * images.step[1]}`;
    remember("row", row);
    drawProfiles();
  }

  function setSlice(value) {
    slice = value;
    byId("slice").value = String(slice);
    byId("slice-value").textContent = `${slice * images.step[0]} of ${slices * images.step[0]}`;
    remember("slice", slice);
    drawImages();
    drawProfiles();
  }

  function resetWindow() {
    byId("low").value = number(images.window[0]);
    byId("high").value = number(images.window[1]);
    drawImages();
  }

  byId("slice").max = String(slices - 1);
  byId("row").max = String(rows - 1);
  byId("slice-control").style.display = slices > 1 ? "" : "none";
  byId("difference-control").style.display = images.truth && volumes.length > 1 ? "" : "none";
  byId("difference").checked = chosen.difference === "yes" && images.truth;
  byId("slice").addEventListener("input", (event) => setSlice(Number(event.target.value)));
  byId("row").addEventListener("input", (event) => setRow(Number(event.target.value)));
  byId("difference").addEventListener("change", (event) => {
    remember("difference", event.target.checked ? "yes" : "no");
    drawImages();
  });
  byId("low").addEventListener("input", drawImages);
  byId("high").addEventListener("input", drawImages);
  byId("reset").addEventListener("click", resetWindow);
  const [s, p] = images.step;
  const thin = [s > 1 ? `slice ${s} by ${s}` : "", p > 1 ? `every ${p}th pixel` : ""].filter(Boolean).join(", ");
  byId("image-note").textContent = thin ? `Thinned to keep the page small: ${thin}. Metrics were computed from all values.` : "";

  resetWindow();
  if (slices > 1) setSlice(slice);
  byId("row").value = String(row);
  byId("row-value").textContent = `${row * images.step[1]}`;
  drawProfiles();
  document.documentElement.dataset.ready = "yes";
})();
