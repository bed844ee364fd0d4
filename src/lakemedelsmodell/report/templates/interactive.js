"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const words = data.text, swedish = data.lang === "sv";
const $ = id => document.getElementById(id);
const sum = values => values.reduce((total, value) => total + value, 0);
const known = value => value !== null && value !== undefined;

// Numbers and words ------------------------------------------------------------------------------

function number(value, decimals = 0, sign = false) {
  if (!known(value)) return "–";
  const [whole, part] = Math.abs(value).toFixed(decimals).split(".");
  const zero = Number(`${whole}.${part || 0}`) === 0;
  const text = whole.replace(/\B(?=(\d{3})+$)/g, swedish ? "\u202f" : ",") + (part ? (swedish ? "," : ".") + part : "");
  return (zero ? "" : value < 0 ? "−" : sign ? "+" : "") + text;
}
const amount = sek => number(sek, Number.isInteger(sek) ? 0 : 2);
const fill = (text, values = {}) => text.replace(/\{(\w+)\}/g, (_, key) => values[key]);
const say = (key, values) => fill(words[key], values);
const kronor = (sek, decimals = Number.isInteger(sek) ? 0 : 2, sign = false) =>
  say("sek", {x: number(sek, decimals, sign)}).replace(" ", "\u00a0");
const percent = (share, decimals = 1) => number(100 * share, decimals) + (swedish ? "\u00a0%" : "%");
/** As it stands inside a sentence; KOL stays KOL. */
const inside = text => /^\p{Lu}\p{Ll}/u.test(text) ? text.charAt(0).toLowerCase() + text.slice(1) : text;
const short = model => model === data.proposal ? words.proposal : data.labels[model];
const named = model => model === data.proposal ? words.the_proposal : say("the_model", {label: data.labels[model]});

/** An element; children that are text become text, never markup. */
function el(tag, attributes, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {})) if (known(value)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

function drawn(tag, attributes, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

/** rows: {head, note, swatch, cells, total, marked}; the first of heads stands above the row heads. */
function table(caption, heads, rows, id) {
  const row = r => el("tr", {class: r.total ? "total" : r.marked ? "marked" : null},
    el("th", {scope: "row"}, ...(r.swatch ? [el("span", {class: `swatch ${r.swatch}`, "aria-hidden": "true"})] : []),
      r.head, ...(r.note ? [el("span", {class: "why"}, r.note)] : [])),
    ...r.cells.map(cell => el("td", {}, cell)));
  return el("div", {class: rows.length <= 14 ? "scroll short" : "scroll", tabindex: "0", role: "region", "aria-label": caption},
    el("table", {id}, el("caption", {}, el("span", {}, caption)),
      el("thead", {}, el("tr", {}, ...heads.map((head, i) => el("th", {scope: "col", class: i ? null : "stub"}, head)))),
      el("tbody", {}, ...rows.map(row))));
}

// One person -------------------------------------------------------------------------------------

const conditions = new Map(data.conditions.map(c => [c.name, c]));
const models = new Map(data.models.map(m => [m.key, m]));
const bandOf = age => Math.min(Math.floor(age / 5), 20);
const bandName = band => band < 20 ? `${5 * band}–${5 * band + 4}` : "100+";
const sexName = sex => words[sex === "K" ? "woman" : "man"];

/** A person's monthly sum in parts: those with sek are added up, those without say why they are not. */
function explain(model, {age, sex, held}) {
  const band = bandOf(age), base = model.cells[sex][band];
  const parts = [{name: "age_sex", label: say("base", {sex: sexName(sex), band: bandName(band)}), sek: base}];
  if (!Object.keys(model.add_ons).length) return {parts, total: base, paid: [], plain: true};
  const above = name => conditions.get(name).yields.find(other => held.includes(other));
  const counted = held.filter(name => !above(name)), add = name => model.add_ons[name] ?? 0;
  const label = name => conditions.get(name).label;
  let paid = counted.filter(name => name in model.add_ons);
  const highest = paid.reduce((best, name) => best === null || add(name) > add(best) ? name : best, null);
  if (model.kind === "highest") paid = highest === null ? [] : [highest];
  if (model.kind === "count") {
    paid = counted.length ? [data.counts[Math.min(counted.length, data.counts.length) - 1]] : [];
    parts.push(...paid.map(count => ({name: count, label: say("number", {count}), sek: model.add_ons[count]})));
  }
  for (const name of held) {
    const yieldsTo = above(name);
    if (yieldsTo) parts.push({name, label: label(name), why: say("yields", {other: label(yieldsTo)})});
    else if (model.kind === "count") parts.push({name, label: label(name), why: words.counted});
    else if (!(name in model.add_ons)) parts.push({name, label: label(name), why: words.not_paid});
    else if (!paid.includes(name)) parts.push({name, label: label(name), why: words.not_highest});
    else parts.push({name, label: label(name), sek: model.add_ons[name]});
  }
  const total = base === null ? null : sum(parts.map(part => part.sek ?? 0));
  return {parts, total, paid: model.kind === "count" ? counted : paid};
}

function person() {
  const form = $("calculator"), age = form.elements.age;
  const text = age.value.trim(), fine = /^\d+$/.test(text) && Number(text) <= 130;
  age.setAttribute("aria-invalid", String(!fine));
  $("age-error").textContent = fine ? "" : age.dataset.error;
  if (!fine) return null;
  const held = [...form.querySelectorAll("[name=condition]:checked")].map(box => box.value);
  const order = data.conditions.map(c => c.name);
  return {age: Number(text), sex: form.elements.sex.value, held: held.sort((a, b) => order.indexOf(a) - order.indexOf(b))};
}

function showPerson() {
  const who = person();
  if (!who) return;
  const today = models.get(data.published), model = models.get($("model").value);
  const found = [today, model].map(m => explain(m, who));
  $("model-about").textContent = [model.about, model.note].filter(Boolean).join(" ");
  showBars([today, model], found);
  showSum(found, model);
  $("in-words").textContent = inWords(found, model, who);
  const paid = found.map((f, i) => known(f.total) ? kronor(f.total * [today, model][i].phi, 0) : "–");
  $("phi").textContent = known(today.phi) && known(model.phi) ? say("phi", {
    published: number(today.phi, 3), model: number(model.phi, 3), name: named(model.key),
    paid_today: paid[0], paid: paid[1]}) : "";
  const glance = [words.today, short(model.key)].map((name, i) =>
    el("span", {}, `${name} `, el("b", {}, known(found[i].total) ? kronor(found[i].total) : "–")));
  $("glance").replaceChildren(...glance);
  showMove(found[1], model);
  for (const button of document.querySelectorAll(".example")) {
    const e = data.examples[button.dataset.example];
    button.setAttribute("aria-pressed", String(e.age === who.age && e.sex === who.sex &&
      e.conditions.length === who.held.length && e.conditions.every(c => who.held.includes(c))));
  }
}

/** Both sums as stacked bars on one scale; what is below zero goes to the left of it. */
function showBars(of, found) {
  const added = found.map(f => f.parts.filter(p => known(p.sek)));
  const low = Math.min(0, ...added.map(parts => sum(parts.map(p => Math.min(p.sek, 0)))));
  const high = Math.max(1, ...added.map(parts => sum(parts.map(p => Math.max(p.sek, 0)))));
  const at = sek => 100 * (sek - low) / (high - low);
  $("bars").replaceChildren(...of.map((model, i) => {
    const ends = {up: 0, down: 0}, track = el("div", {class: "track"});
    for (const part of added[i]) {
      const side = part.sek < 0 ? "down" : "up", from = ends[side];
      ends[side] += part.sek;
      const piece = el("span", {class: part.sek < 0 ? "below" : swatch(part), title: `${part.label}: ${kronor(part.sek)}`});
      piece.style.left = `${at(Math.min(from, ends[side]))}%`;
      piece.style.width = `${at(Math.max(from, ends[side])) - at(Math.min(from, ends[side]))}%`;
      track.append(piece);
    }
    const zero = el("span", {class: "zero"});
    zero.style.left = `${at(0)}%`;
    track.append(zero);
    const total = found[i].total;
    return el("div", {class: "bar"}, el("div", {class: "bar-name"}, el("span", {}, i ? short(model.key) : words.published),
      el("b", {}, known(total) ? kronor(total) : "–")), track);
  }));
}

function swatch(part) {
  if (part.name === "age_sex") return "base";
  const theme = conditions.get(part.name)?.theme ?? "other";
  return ["diabetes", "cardiovascular", "anticoagulation", "inflammatory", "cancer"].includes(theme) ? theme : "other";
}

function showSum([today, other], model) {
  const cell = part => !part || part.why ? "" : known(part.sek) ? amount(part.sek) : words.unset;
  const rows = other.parts.map((part, i) => ({
    head: part.label, swatch: swatch(part), cells: [i ? "" : cell(today.parts[0]), cell(part)],
    note: part.why || (known(part.sek) ? "" : words.unset_note)}));
  const gap = known(today.total) && known(other.total) ? other.total - today.total : null;
  rows.push({head: words.total, total: true, cells: [today.total, other.total].map(x => known(x) ? amount(x) : "–")});
  rows.push({head: words.difference, note: words.difference_note,
    cells: ["", known(gap) ? number(gap, Number.isInteger(gap) ? 0 : 2, true) : "–"]});
  $("sum").replaceChildren(table(words.caption, [words.part, words.published, short(model.key)], rows, "sum-table"));
}

function inWords([today, other], model, who) {
  if (!known(today.total) || !known(other.total)) return words.unknown;
  const said = [say("words_today", {today: kronor(today.total), sex: sexName(who.sex), age: who.age})];
  const base = other.parts[0].sek, count = other.paid.length;
  said.push(say(other.plain ? "words_plain" : count ? "words_some" : "words_none", {
    model: named(model.key), total: kronor(other.total), base: kronor(base), added: kronor(other.total - base),
    count: count === 1 ? words.one_condition : say("conditions", {count})}));
  const gap = other.total - today.total;
  said.push(say(gap > 0 ? "words_more" : gap < 0 ? "words_less" : "words_same", {difference: kronor(Math.abs(gap))}));
  if (base < 0) said.push(words.words_negative);
  return said.join(" ");
}

function showMove(found, model) {
  const from = Number($("move").value), months = data.months.length, sek = found.total;
  if (!known(sek) || !months) {
    $("move-words").textContent = words.unknown;
    $("months").replaceChildren();
    return;
  }
  $("move-words").textContent = say(from < months ? "move_words" : "move_stay_words", {
    a: kronor(from * sek), b: kronor((months - from) * sek), months_a: from, months_b: months - from,
    sek: kronor(sek), total: kronor(months * sek)});
  const rows = data.months.map((month, i) => ({head: month, cells: i < from ? [amount(sek), ""] : ["", amount(sek)]}));
  rows.push({head: words.total.split(" ")[0], total: true, cells: [amount(from * sek), amount((months - from) * sek)]});
  $("months").replaceChildren(table(say("move_caption", {model: short(model.key)}),
    [words.month, words.centre_a, words.centre_b], rows, "months-table"));
}

/** What the examples bring today and under the proposal. */
function showExamples() {
  const rows = data.examples.map(e => {
    const who = {age: e.age, sex: e.sex, held: e.conditions};
    const totals = [data.published, data.proposal].map(m => explain(models.get(m), who).total);
    return {head: `${e.who}, ${e.age}`, cells: [
      e.conditions.length ? number(e.conditions.length) : words.none, ...totals.map(x => known(x) ? amount(x) : "–")]};
  });
  $("examples").replaceChildren(table(words.examples_caption,
    [words.person, words.held, words.today, words.proposal], rows, "examples-table"));
}

function startCalculator() {
  const form = $("calculator"), age = form.elements.age;
  $("move").replaceChildren(...data.months.slice(1).map((month, i) => el("option", {value: i + 1}, month)),
    el("option", {value: data.months.length}, words.stays));
  $("move").value = String(Math.min(3, data.months.length));
  $("move-note").textContent = words[data.by_days ? "move_days" : "move_snapshot"];
  const take = example => {
    age.value = example.age;
    form.elements.sex.value = example.sex;
    for (const box of form.querySelectorAll("[name=condition]")) box.checked = example.conditions.includes(box.value);
    showPerson();
  };
  for (const button of document.querySelectorAll(".example"))
    button.addEventListener("click", () => take(data.examples[button.dataset.example]));
  $("clear").addEventListener("click", () => {
    for (const box of form.querySelectorAll("[name=condition]")) box.checked = false;
    showPerson();
  });
  form.addEventListener("input", showPerson);
  form.addEventListener("submit", event => event.preventDefault());
  $("model").addEventListener("change", showPerson);
  $("move").addEventListener("change", showPerson);
  if ($("examples")) showExamples();
  if (data.examples.length) take(data.examples.at(-1));
  else showPerson();
}

// One centre -------------------------------------------------------------------------------------

const centres = new Map(data.centres.map(c => [c.id, c]));
const listed = sum(data.centres.map(c => c.months));
const has = (centre, model) => known(centre.net[model]);
const others = model => data.centres.filter(c => has(c, model));
const above = (model, net) => others(model).filter(c => c.net[model] > net).length;
const place = (centre, model) => 1 + above(model, centre.net[model]);

/** Where the net could have been by chance, 95 times of 100. */
const interval = (centre, model) => known(centre.error[model])
  ? [-1.96, 1.96].map(z => centre.net[model] + z * centre.error[model]) : null;

function showCentre(centre) {
  const model = $("centre-model").value, today = data.today;
  $("centre-name").textContent = data.simulated ? `${centre.name} (${words.invented})` : centre.name;
  $("centre-list").textContent = say("list", {
    months: number(centre.months), persons: number(centre.months / (data.months.length || 1))});
  const gained = (centre.pay[model] - centre.pay[today]) / 100;
  $("net-words").textContent = [
    say("net_words_today", {net: kronor(centre.net[today], 1, true), place: place(centre, today), count: others(today).length}),
    say("net_words_model", {model: named(model), net: kronor(centre.net[model], 1, true), place: place(centre, model)}),
    say(gained > 0 ? "net_up" : gained < 0 ? "net_down" : "net_same", {sek: kronor(Math.abs(gained), 0)}),
  ].join(" ");
  $("chosen").replaceChildren(strips(centre, [today, model]), nets(centre, model), ...chance(centre, model), ...why(centre, model));
}

/** All centres' nets on one line per model, the chosen one marked. */
function strips(centre, shown) {
  const ends = shown.flatMap(m => [...others(m).map(c => c.net[m]), ...(interval(centre, m) || [])]);
  const low = Math.min(0, ...ends), high = Math.max(0, ...ends), pad = (high - low) * .04 || 1;
  const x = net => `${(100 * (net - low + pad) / (high - low + 2 * pad)).toFixed(3)}%`;
  const steps = [1, 2, 5].flatMap(d => [.1, 1, 10, 100, 1000].map(ten => d * ten)).sort((a, b) => a - b);
  const step = steps.find(s => (high - low) / s <= 6) || high - low;
  const ticks = [];
  for (let at = Math.ceil(low / step); at * step <= high; at++) ticks.push(at * step);
  return el("div", {class: "strips"}, ...shown.map((m, i) => {
    const colour = i ? "#1b5e9b" : "#b5500c", net = centre.net[m], range = interval(centre, m);
    const svg = drawn("svg", {width: "100%", height: "74", "aria-hidden": "true"},
      ...ticks.flatMap(at => [
        drawn("line", {x1: x(at), x2: x(at), y1: 4, y2: 52, stroke: at ? "#d5dbe1" : "#1d2733", "stroke-width": 1}),
        drawn("text", {x: x(at), y: 69, "text-anchor": "middle", "font-size": 13, fill: "#52606d"}, number(at, step < 1 ? 1 : 0))]),
      ...others(m).map(c => drawn("line", {x1: x(c.net[m]), x2: x(c.net[m]), y1: 14, y2: 42, stroke: "#5d6875", "stroke-opacity": .45})),
      ...(range ? [drawn("line", {x1: x(range[0]), x2: x(range[1]), y1: 28, y2: 28, stroke: colour, "stroke-width": 3})] : []),
      drawn("circle", {cx: x(net), cy: 28, r: 7, fill: i ? colour : "#fff", stroke: i ? "#fff" : colour, "stroke-width": i ? 1.5 : 3}));
    return el("div", {class: "strip"}, el("p", {}, `${data.labels[m]}: `, el("b", {}, number(net, 1, true))), svg);
  }), el("p", {class: "note"}, `${words.strip_axis}. ${words.strip_key}`), el("p", {class: "unseen"}, words.strip_alt));
}

function nets(centre, chosen) {
  const order = [data.published, data.today, data.proposal, ...Object.keys(data.labels)];
  const shown = [...new Set(order)].filter(m => has(centre, m));
  const rows = shown.map(m => {
    const range = interval(centre, m);
    return {head: data.labels[m], marked: m === chosen || m === data.today, cells: [
      number(centre.net[m], 1, true), `${place(centre, m)} / ${others(m).length}`,
      range ? say("to", {low: number(range[0], 1, true), high: number(range[1], 1, true)}) : "–",
      number(centre.net[m] * centre.months / 1000, 0, true)]};
  });
  return table(words.nets_caption, [words.model, words.net_month, words.place, words.interval, words.net_total], rows, "nets-table");
}

function chance(centre, model) {
  const head = el("h3", {}, words.chance_head), error = centre.error[model], lasting = centre.lasting[model];
  if (!known(error) || !known(lasting)) return [head, el("p", {}, words.chance_unknown)];
  const [low, high] = interval(centre, model), label = named(model), count = others(model).length;
  return [head,
    el("p", {}, say("chance_words", {model: label, size: kronor(1.96 * error, 1), first: 1 + above(model, high),
      last: Math.min(count, 1 + above(model, low)), count})),
    el("p", {}, lasting > 0 ? say("chance_split", {lasting: percent(lasting, 0), chance: percent(1 - lasting, 0),
      best: kronor(centre.best[model], 1, true)})
      : say("chance_none", {model: label})),
    el("p", {class: "note"}, words.chance_note)];
}

/** A centre's parts under a model: key → {months, ore}; null where the run does not tell. */
function partsOf(centre, model) {
  const brought = data.parts.ore[model]?.[centre.id];
  if (!brought) return null;
  const first = data.parts.first_condition, of = key => data.parts.months[key]?.[centre.id] ?? [];
  const months = part => part < first ? of(data.today)[part] : of(model)[part - first];
  return new Map(brought.map((ore, part) => [part, {months: months(part), ore}]).filter(([, of]) => known(of.ore)));
}

const region = new Map();
/** The same, summed over all centres. */
function regionOf(model) {
  if (!region.has(model)) {
    const total = new Map();
    for (const centre of others(model))
      for (const [part, {months, ore}] of partsOf(centre, model) || []) {
        const of = total.get(part) || {months: 0, ore: 0};
        total.set(part, {months: of.months + (months ?? 0), ore: of.ore + ore});
      }
    region.set(model, total);
  }
  return region.get(model);
}

function why(centre, model) {
  const head = el("h3", {}, words.why_head), today = data.today;
  const before = partsOf(centre, today), after = partsOf(centre, model);
  if (!before || !after)
    return [head, el("p", {}, Object.keys(data.parts.ore).length ? words.why_missing_model : words.why_missing)];
  const share = centre.months / listed, all = regionOf(model);
  const kinds = kind => [...new Set([...before.keys(), ...after.keys(), ...all.keys()])].filter(p => data.parts.names[p][0] === kind);
  const ore = (of, parts) => sum(parts.map(p => of.get(p)?.ore ?? 0));
  const row = (label, parts, months) => ({label, months, parts, before: ore(before, parts), after: ore(after, parts),
    average: ore(after, parts) - share * ore(all, parts)});
  const rows = [row(words.why_ages, kinds("age_sex"))];
  const held = kinds("condition").filter(p => after.has(p)).map(p =>
    row(conditions.get(data.parts.names[p][1])?.label ?? data.parts.names[p][1], [p],
      {here: after.get(p).months / centre.months, all: all.get(p).months / listed}));
  held.sort((a, b) => b.after - a.after);
  rows.push(...held);
  const merged = [...kinds("few"), ...kinds("condition").filter(p => !after.has(p))];
  if (ore(before, merged) || ore(after, merged)) rows.push(row(words.why_few, merged));
  if (kinds("pool").length) rows.push(row(words.why_pool, kinds("pool")));
  const total = {label: words.why_total, total: true, before: sum(rows.map(r => r.before)), after: sum(rows.map(r => r.after)),
    average: sum(rows.map(r => r.average))};
  const money = (ore, sign = false) => number(ore / 100, 2, sign);
  const cells = r => [r.months ? "" : money(r.before), money(r.after), money(r.after - r.before, true),
    number(r.average / 100, 0, true), r.months ? percent(r.months.here) : "", r.months ? percent(r.months.all) : ""];
  const told = rows.filter(r => r.label !== words.why_few && Math.abs(r.average) >= 100).sort((a, b) => b.average - a.average);
  const list = of => of.map(r => say("why_part", {label: r.label, sek: kronor(r.average / 100, 0, true)})).join(", ");
  const up = told.filter(r => r.average > 0).slice(0, 3), down = told.filter(r => r.average < 0).reverse().slice(0, 3);
  const most = [...held].sort((a, b) => Math.abs(b.average) - Math.abs(a.average))[0];
  const said = [
    most && say("why_words", {share: percent(most.months.here), condition: inside(most.label), all: percent(most.months.all)}),
    up.length && say("why_up", {parts: list(up)}), down.length && say("why_down", {parts: list(down)})].filter(Boolean);
  const heads = [words.part, data.labels[today], short(model), words.why_change, say("why_average", {model: short(model)}), words.why_here, words.why_all];
  const ages = kinds("age_sex").filter(p => before.has(p) || after.has(p)).sort((a, b) => byAge(a, b)).map(p => {
    const [, , sex, age] = data.parts.names[p], of = row("", [p]);
    const months = (before.get(p) || after.get(p)).months;
    return {head: say("band", {sex: sexName(sex), band: bandName(age / 5)}), cells: [money(of.before), money(of.after),
      money(of.after - of.before, true), number(of.average / 100, 0, true), number(months)]};
  });
  return [head, el("p", {}, said.join(" ")),
    table(words.why_caption, heads, [...rows, total].map(r => ({head: r.label, total: r.total, cells: cells(r)})), "why-table"),
    el("p", {class: "note"}, words.why_note),
    el("details", {}, el("summary", {}, words.why_ages_show), table(words.why_ages_caption,
      [words.part, data.labels[today], short(model), words.why_change, say("why_average", {model: short(model)}), words.why_here], ages, "ages-table"))];
}

function byAge(a, b) {
  const [, , sexA, ageA] = data.parts.names[a], [, , sexB, ageB] = data.parts.names[b];
  return ageA - ageB || sexA.localeCompare(sexB);
}

// Finding it: a text field with a list of suggestions (ARIA combobox) ------------------------------

function startFinder() {
  const field = $("find"), list = $("found");
  const folded = text => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const twice = new Set(data.centres.map(c => c.name).filter((name, i, all) => all.indexOf(name) !== i));
  const title = c => twice.has(c.name) ? `${c.name} (${c.id})` : c.name;
  let matches = [], active = -1, chosen = null;

  $("centre-model").replaceChildren(...data.models.filter(m => m.key !== data.today).map(m => el("option", {value: m.key}, m.label)));
  $("centre-model").value = data.proposal;
  $("hidden-centres").hidden = !data.hidden;
  $("hidden-centres").textContent = fill($("hidden-centres").dataset.text, {count: data.hidden});

  function close() {
    list.hidden = true;
    active = -1;
    field.setAttribute("aria-expanded", "false");
    field.removeAttribute("aria-activedescendant");
  }

  function open(text) {
    const wanted = folded(text).split(/\s+/).filter(Boolean);
    matches = data.centres.filter(c => wanted.every(word => folded(title(c)).includes(word)));
    list.replaceChildren(...matches.map((c, i) => {
      const option = el("li", {role: "option", id: `found-${i}`, "aria-selected": "false"}, title(c));
      option.addEventListener("mousedown", event => event.preventDefault());
      option.addEventListener("click", () => choose(c));
      return option;
    }));
    if (!matches.length) list.append(el("li", {class: "none", role: "option", "aria-disabled": "true"}, words.found_none));
    $("found-count").textContent = matches.length === 1 ? words.found_one
      : matches.length ? say("found_many", {count: matches.length}) : words.found_none;
    list.hidden = false;
    active = -1;
    field.setAttribute("aria-expanded", "true");
    field.removeAttribute("aria-activedescendant");
  }

  function activate(index) {
    if (!matches.length) return;
    list.children[active]?.setAttribute("aria-selected", "false");
    active = (index + matches.length) % matches.length;
    list.children[active].setAttribute("aria-selected", "true");
    list.children[active].scrollIntoView({block: "nearest"});
    field.setAttribute("aria-activedescendant", `found-${active}`);
  }

  function choose(centre) {
    chosen = centre;
    field.value = title(centre);
    close();
    showCentre(centre);
    const hash = `#vc=${encodeURIComponent(centre.id)}`;
    history.replaceState(null, "", hash);
    for (const link of document.querySelectorAll(".language")) link.hash = hash;
  }

  field.addEventListener("input", () => open(field.value));
  field.addEventListener("focus", () => field.select());
  field.addEventListener("click", () => list.hidden && open(chosen && field.value === title(chosen) ? "" : field.value));
  field.addEventListener("blur", close);
  field.addEventListener("keydown", event => {
    const step = {ArrowDown: 1, ArrowUp: -1}[event.key];
    if (step) {
      const wasClosed = list.hidden;
      if (wasClosed) open(chosen && field.value === title(chosen) ? "" : field.value);
      activate(wasClosed && step > 0 ? 0 : active < 0 && step < 0 ? -1 : active + step);
      event.preventDefault();
    } else if (event.key === "Enter" && !list.hidden && matches.length) {
      if (active >= 0 || matches.length === 1) choose(matches[Math.max(active, 0)]);
      event.preventDefault();
    } else if (event.key === "Escape") {
      if (list.hidden) field.value = "";
      close();
    }
  });
  $("centre-model").addEventListener("change", () => chosen && showCentre(chosen));

  const linked = () => centres.get(decodeURIComponent(location.hash.match(/^#vc=(.*)/)?.[1] ?? ""));
  const follow = () => {
    const centre = linked();
    if (!centre || centre === chosen) return;
    choose(centre);
    $("centre").scrollIntoView();
  };
  addEventListener("hashchange", follow);
  follow();
}

$("print").addEventListener("click", () => print());
startCalculator();
startFinder();
})();
