// Where tiles lie on the stage.

const GAP_PX = 2;

/**
 * Equal cells, row by row, as many per row as make bodies large.
 * together: so many tiles belong together and stay in one row where there is room.
 */
export function arrange(count, width, height, together = 1) {
  let best = { worth: -1, across: 1 };
  for (let across = 1; across <= count; across++) {
    if (together > 1 && across % together && together % across) continue;
    const down = Math.ceil(count / across);
    // A standing body with raised arms needs about 3 : 4.
    const worth = Math.min(width / across / 0.75, height / down) * (count / (across * down)) ** 0.6;
    if (worth > best.worth) best = { worth, across };
  }
  const { across } = best;
  const down = Math.ceil(count / across);
  const edge = (k, parts, length) => Math.round((k * (length + GAP_PX)) / parts);
  return Array.from({ length: count }, (_, k) => {
    const [column, row] = [k % across, Math.floor(k / across)];
    const left = edge(column, across, width);
    const top = edge(row, down, height);
    return {
      left,
      top,
      width: edge(column + 1, across, width) - GAP_PX - left,
      height: edge(row + 1, down, height) - GAP_PX - top,
    };
  });
}
