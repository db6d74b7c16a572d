/** Making elements. Data goes in as text, never as markup. */

const SVG = 'http://www.w3.org/2000/svg'

/**
 * @param {string} tag
 * @param {Record<string, any>} [attributes] on…: a listener; text: its text; true and false: whether
 *   the attribute is there
 * @param {(Node | string | null)[]} [children]
 * @returns {any}
 */
export function element(tag, attributes = {}, children = []) {
  return filled(document.createElement(tag), attributes, children)
}

/**
 * As `element`, in an SVG picture.
 *
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {(Node | string | null)[]} [children]
 * @returns {any}
 */
export function svgElement(tag, attributes = {}, children = []) {
  return filled(document.createElementNS(SVG, tag), attributes, children)
}

/**
 * @param {Element} made
 * @param {Record<string, any>} attributes
 * @param {(Node | string | null)[]} children
 */
function filled(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith('on')) made.addEventListener(name.slice(2), value)
    else if (name === 'text') made.textContent = value
    else if (value === true) made.setAttribute(name, '')
    else if (value !== false && value !== null) made.setAttribute(name, value)
  }
  made.append(...children.filter((child) => child !== null))
  return made
}

/**
 * A button with a hint.
 *
 * @param {string} name its class
 * @param {string} text
 * @param {string} title
 * @param {() => void} onclick
 * @returns {HTMLButtonElement}
 */
export const button = (name, text, title, onclick) =>
  element('button', { type: 'button', class: name, title, text, onclick })

/** @param {string} href of a stylesheet for the page */
export function addStyles(href) {
  document.head.append(element('link', { rel: 'stylesheet', href }))
}

/**
 * Sets a text only where it changes, so that a selection and a screen reader's place stay.
 *
 * @param {Node} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text
}

/**
 * @param {Element} node
 * @param {string} name
 * @param {string | number} value
 */
export function setAttribute(node, name, value) {
  if (node.getAttribute(name) !== String(value)) node.setAttribute(name, String(value))
}
