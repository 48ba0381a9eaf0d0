"use strict";
(() => {
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  const narrow = window.matchMedia("(max-width: 40rem)");

  // "role:accent" stands for the style sheet's --accent, which light and dark differ in.
  const coloured = (value, style) => {
    if (typeof value === "string" && value.startsWith("role:")) {
      return style.getPropertyValue("--" + value.slice(5)).trim();
    }
    if (Array.isArray(value)) return value.map((item) => coloured(item, style));
    if (value !== null && typeof value === "object") {
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, coloured(item, style)])
      );
    }
    return value;
  };

  const layoutOf = ({ data, layout }, style) => {
    const ink = coloured("role:ink", style);
    const muted = coloured("role:muted", style);
    const grid = coloured("role:grid", style);
    const { legend: placed, margin: kept, ...plain } = coloured(layout, style);
    const shared = {
      gridcolor: grid, linecolor: grid, zerolinecolor: grid, automargin: true,
      tickfont: { color: muted }, fixedrange: true,
    };
    for (const axis of Object.keys(plain).filter((key) => /^[xy]axis\d*$/.test(key))) {
      const title = plain[axis].title;
      plain[axis] = { ...shared, ...plain[axis] };
      if (title) plain[axis].title = { standoff: 8, ...title, font: { color: muted, size: 12.5 } };
    }
    const legend = data.filter((trace) => trace.showlegend !== false).length > 1;
    return {
      showlegend: legend,
      paper_bgcolor: "rgba(0,0,0,0)",
      plot_bgcolor: "rgba(0,0,0,0)",
      font: { family: getComputedStyle(document.body).fontFamily, size: 12.5, color: ink },
      margin: { l: narrow.matches ? 8 : 16, r: narrow.matches ? 8 : 16, t: legend ? 36 : 12, b: 8, ...kept },
      legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { color: muted }, ...placed },
      hoverlabel: {
        bgcolor: coloured("role:sunken", style),
        bordercolor: grid,
        font: { color: ink },
        align: "left",
      },
      dragmode: false,
      ...plain,
    };
  };

  const drawAll = () => {
    const style = getComputedStyle(document.documentElement);
    for (const canvas of document.querySelectorAll("[data-figure]")) {
      const figure = figures[canvas.dataset.figure];
      Plotly.react(canvas, coloured(figure.data, style), layoutOf(figure, style), {
        displayModeBar: false,
        responsive: true,
      });
    }
  };

  if (window.Plotly) {
    drawAll();
    dark.addEventListener("change", drawAll);
    narrow.addEventListener("change", drawAll);
  }

  const button = document.getElementById("copy");
  if (button) {
    button.addEventListener("click", async () => {
      const command = document.getElementById("command");
      try {
        await navigator.clipboard.writeText(command.textContent);
      } catch {
        // A page from a file may have no clipboard: the selection can be copied by hand.
        getSelection().selectAllChildren(command);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
  }
})();
