// Before and after: a divider that follows the mouse, a finger or the arrow keys.

/** Binds the slider inside `frame`; returns a function that moves the divider to a percentage. */
export function bindCompare(frame, split) {
  const show = (percent) => {
    frame.style.setProperty("--split", `${percent}%`);
    frame.dataset.edge = percent < 14 ? "left" : percent > 86 ? "right" : "";
    split.setAttribute("aria-valuetext", `${Math.round(percent)} percent photo`);
  };
  const moveTo = (percent) => {
    split.value = String(Math.round(percent));
    show(percent);
  };
  const follow = (event) => {
    const box = frame.getBoundingClientRect();
    moveTo(Math.min(100, Math.max(0, ((event.clientX - box.left) / box.width) * 100)));
  };
  const active = () => split.offsetParent !== null || getComputedStyle(split).display !== "none";

  // The range input is what keyboards and screen readers use; pointers use the whole picture.
  split.addEventListener("input", () => show(Number(split.value)));
  frame.addEventListener("pointerdown", (event) => {
    if (!active() || event.button !== 0) return;
    frame.setPointerCapture(event.pointerId);
    follow(event);
    split.focus({ preventScroll: true, focusVisible: false });
    event.preventDefault();
  });
  frame.addEventListener("pointermove", (event) => {
    if (frame.hasPointerCapture(event.pointerId)) follow(event);
  });
  return moveTo;
}
