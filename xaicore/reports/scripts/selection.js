// Which samples are shown, and in which order.

function shownColumns() {
  return state.column ? [data.columns.indexOf(state.column)] : data.columns.map((_, column) => column);
}

// Samples are sorted by the column that is shown; of all columns, by the first.
function sortColumn() {
  return shownColumns()[0] ?? 0;
}

function passes(sample) {
  const confident = sample.confidence === null ? null : 100 * sample.confidence;
  if (state.name && !sample.name.toLowerCase().includes(state.name.toLowerCase())) return false;
  if (state.true && sample.true !== state.true) return false;
  if (state.predicted && sample.predicted !== state.predicted) return false;
  if (state.cluster && sample.cluster !== state.cluster) return false;
  if (state.wrong && !sample.wrong) return false;
  // A sample without confidence passes only where nothing was asked of it.
  if (state.low > 0 && !(confident >= state.low)) return false;
  if (state.high < 100 && !(confident !== null && confident <= state.high)) return false;
  return true;
}

function sortKey(sample) {
  const column = sortColumn();
  const map = sample.maps[column];
  if (state.sort === "name") return sample.name;
  if (state.sort === "confidence") return sample.confidence;
  if (state.sort === "score") return map ? map.score : null;
  if (state.sort === "gap") return map ? map.gap : null;
  if (state.sort.startsWith("metric:")) {
    const scores = sample.scores[state.sort.slice("metric:".length)];
    return scores && data.columns[column] in scores ? scores[data.columns[column]] : null;
  }
  return null;
}

// The numbers of the samples that are shown, in their order. Those without a value come last either way.
function selected() {
  const numbers = data.samples.map((_, number) => number).filter((number) => passes(data.samples[number]));
  if (state.sort === "given") return state.descending ? numbers.reverse() : numbers;
  const sign = state.descending ? -1 : 1;
  const keys = new Map(numbers.map((number) => [number, sortKey(data.samples[number])]));
  const missing = (number) => keys.get(number) === null || keys.get(number) === undefined;
  return numbers.sort((a, b) => {
    if (missing(a) || missing(b)) return missing(a) - missing(b) || a - b;
    const [one, other] = [keys.get(a), keys.get(b)];
    const order = typeof one === "string" ? inOrder(one, other) : one - other;
    return sign * order || a - b;
  });
}
