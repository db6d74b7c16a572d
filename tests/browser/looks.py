"""What a page looks like, measured: contrasts, and parts that stick out."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page

TEXT, GRAPHICS = 4.5, 3.0  # what WCAG 2.1 asks for at level AA


def low_contrasts(page: Page, panel: str) -> list[str]:
    """Texts of less than 4.5 to what lies under them, and curves of less than 3. What is disabled
    is left out, as in WCAG.
    """
    return page.evaluate(CONTRASTS, [panel, TEXT, GRAPHICS])


def sticking_out(page: Page, panel: str) -> list[str]:
    """Parts of a panel that reach over its right edge."""
    return page.evaluate(OUTSIDE, panel)


CONTRASTS = """([selector, least, leastGraphics]) => {
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true })
  // Whatever way a colour is written, as red, green, blue in 0..255 and alpha in 0..1.
  const rgba = (text) => {
    canvas.clearRect(0, 0, 1, 1)
    canvas.fillStyle = text
    canvas.fillRect(0, 0, 1, 1)
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data
    return [r, g, b, a / 255]
  }
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => {
      const s = v / 255
      return s <= 0.03928 ? s / 12.92 : ((s + 0.055) / 1.055) ** 2.4
    })
    return 0.2126 * x + 0.7152 * y + 0.0722 * z
  }
  const ground = (part) => {
    for (let at = part; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor)
      if (colour[3] > 0.99) return colour
    }
    return [255, 255, 255, 1]
  }
  const contrast = (part, colour) => {
    const [a, b] = [light(rgba(colour)), light(ground(part))]
    return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)
  }
  const low = []
  const check = (part, name, colour, wanted) => {
    const found = contrast(part, colour)
    if (!(found >= wanted)) low.push(`${name}: ${found.toFixed(2)}`)
  }
  for (const part of document.querySelectorAll(`${selector} *`)) {
    if (!part.getClientRects().length || part.closest('.unseen, :disabled')) continue
    const style = getComputedStyle(part)
    if (part.matches('path.average')) check(part, part.getAttribute('class'), style.stroke, leastGraphics)
    const own = [...part.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim())
    if (!own || part.matches('title')) continue
    check(part, part.textContent, part.closest('svg') ? style.fill : style.color, least)
  }
  return low
}"""  # noqa: E501

OUTSIDE = """(selector) => {
  const panel = document.querySelector(selector)
  const box = panel.getBoundingClientRect()
  return [...panel.querySelectorAll('*:not(option)')]
    .filter((part) => part.getClientRects().length && !part.closest('.unseen'))
    .filter((part) => part.getBoundingClientRect().right > box.right + 1)
    .map((part) => part.outerHTML.slice(0, 80))
}"""
