"""The page's look: one style sheet for light and dark, from 320 px upwards, and texts around the fields."""

from __future__ import annotations

from detector.evaluation.pages import DARK, LIGHT
from detector.media.draw import COLOURS

__all__ = ["STYLE", "hex_colour"]


def hex_colour(name: str) -> str:
    """A class's colour as a page writes it."""
    blue, green, red = COLOURS[name]
    return f"#{red:02x}{green:02x}{blue:02x}"


STYLE = f"""<style>
.gradio-container {{ {LIGHT}; --masked: {hex_colour("with_mask")}; --bare: {hex_colour("without_mask")}; }}
.dark .gradio-container, .gradio-container.dark {{ {DARK}; }}
.head h1 {{ font-size: 1.7rem; font-weight: 700; margin: .2rem 0 .1rem; }}
.head p {{ font-size: 1.05rem; margin: 0 0 .4rem; color: var(--body-text-color-subdued); }}
.foot {{ font-size: .85rem; color: var(--body-text-color-subdued); padding: .6rem 0; }}
.foot p {{ margin: .2rem 0; }}
.answer .sentence, .live .sentence {{ font-size: 1.35rem; font-weight: 650; margin: 0 0 .4rem; }}
.answer .note, .live .status {{ color: var(--body-text-color-subdued); margin: 0 0 .5rem; }}
.answer .problem {{ border-left: 4px solid var(--bare); background: var(--block-background-fill);
  padding: .7rem .9rem; margin: 0; font-weight: 600; overflow-wrap: anywhere; }}
.answer .pair {{ display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 300px), 1fr)); }}
.answer figure {{ margin: 0; min-width: 0; }}
.answer figure img {{ width: 100%; max-height: 75vh; object-fit: contain; border-radius: 6px; display: block; }}
.answer figcaption {{ font-size: .85rem; color: var(--body-text-color-subdued); padding: .3rem 0; }}
.answer table {{ width: 100%; border-collapse: collapse; font-size: .95rem; }}
.answer th, .answer td {{ text-align: left; padding: .35rem .4rem !important; }}
.answer td:nth-child(n+3), .answer th:nth-child(n+3) {{ text-align: right; white-space: nowrap; }}
@media (max-width: 500px) {{ .answer table {{ font-size: .8rem; }} }}
.answer .saves {{ display: flex; flex-wrap: wrap; gap: .6rem; margin: .8rem 0 0; }}
.answer a.save {{ border: 1px solid var(--border-color-primary); border-radius: 6px; padding: .5rem .9rem;
  color: var(--body-text-color); text-decoration: none; background: var(--button-secondary-background-fill); }}
.answer a.save:hover, .answer a.save:focus-visible {{ outline: 2px solid var(--color-accent); }}
.examples {{ display: flex; flex-wrap: wrap; gap: .5rem; }}
.examples p {{ width: 100%; margin: 0; }}
.examples button {{ border: 2px solid transparent; border-radius: 6px; padding: 0; line-height: 0; }}
.examples button:hover, .examples button:focus-visible {{ border-color: var(--color-accent); }}
.examples img {{ width: 76px; height: 76px; object-fit: cover; border-radius: 4px; margin: 0; }}
.sign {{ display: inline-block; width: .85em; height: .85em; margin-right: .45em; vertical-align: -.08em; }}
.sign.with_mask {{ border: 3px solid var(--masked); }}
.sign.without_mask {{ background:
  linear-gradient(var(--bare) 0 0) 0 0/40% 3px, linear-gradient(var(--bare) 0 0) 0 0/3px 40%,
  linear-gradient(var(--bare) 0 0) 100% 0/40% 3px, linear-gradient(var(--bare) 0 0) 100% 0/3px 40%,
  linear-gradient(var(--bare) 0 0) 0 100%/40% 3px, linear-gradient(var(--bare) 0 0) 0 100%/3px 40%,
  linear-gradient(var(--bare) 0 0) 100% 100%/40% 3px, linear-gradient(var(--bare) 0 0) 100% 100%/3px 40%;
  background-repeat: no-repeat; }}
.live canvas {{ width: 100%; max-width: 900px; border-radius: 6px; display: block; }}
.live .idle {{ max-width: 900px; aspect-ratio: 4/3; max-height: 45vh; border: 2px dashed var(--border-color-primary);
  border-radius: 6px; display: grid; place-items: center; padding: 1rem; text-align: center;
  color: var(--body-text-color-subdued); }}
.live [hidden] {{ display: none; }}
/* Gradio's own cutting of videos fetches a program from elsewhere. */
#video-in button[aria-label^="Trim"], #video-in button[aria-label^="Reset"] {{ display: none; }}
.live .bar {{ display: flex; flex-wrap: wrap; gap: .6rem 1.4rem; align-items: center; margin: .6rem 0; }}
.live button {{ background: var(--button-primary-background-fill); color: var(--button-primary-text-color);
  border-radius: 6px; padding: .55rem 1.6rem; font-weight: 600; }}
.live button:focus-visible {{ outline: 3px solid var(--color-accent); outline-offset: 2px; }}
.live label {{ display: flex; gap: .5rem; align-items: center; }}
.live select {{ background: var(--input-background-fill); color: var(--body-text-color); border-radius: 6px;
  border: 1px solid var(--border-color-primary); padding: .3rem .5rem; }}
.timeline {{ max-width: 620px; }}
svg.chart {{ width: 100%; height: auto; }}
</style>"""
