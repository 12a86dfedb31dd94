/* memory.js - what this browser remembers of its own requests: how the pieces of a result lie on its
 * timeline. The server knows the videos; this only colours them. */
const NAME = 'misora.plans';
const PLANS_MAX = 200;

function read() {
  try {
    return JSON.parse(localStorage.getItem(NAME)) || {};
  } catch {
    return {};
  }
}

export function keepPlan(id, plan) {
  const plans = { ...read(), [id]: plan };
  const ids = Object.keys(plans).sort().slice(-PLANS_MAX);
  try {
    localStorage.setItem(NAME, JSON.stringify(Object.fromEntries(ids.map((i) => [i, plans[i]]))));
  } catch { /* private windows may have no room */ }
}

export const findPlan = (id) => read()[id] || null;
