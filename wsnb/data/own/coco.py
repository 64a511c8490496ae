"""Boxes and outlines of a COCO JSON, each annotation compared with what the file says about its picture."""

from wsnb.data.own import names
from wsnb.data.own.numbers import are_shares, is_set, number
from wsnb.files import FileError, load_json


def is_coco(content) -> bool:
    """Tell whether a JSON's content has COCO's three lists."""
    return isinstance(content, dict) and all(
        isinstance(content.get(key), list) and all(isinstance(one, dict) for one in content[key])
        for key in ("images", "annotations", "categories"))


def read(path, errors: list, sizes: dict) -> tuple[dict, dict]:
    """Read {picture: (class, (x0, y0, x1, y1) half-open, difficult) of every box}, and {picture: outlines of its
    boxes} of those pictures whose every box has one.

    Pictures that the file names without a box have no object; crowds count as difficult. An outline without a box
    gives its box. The box's own four corners, as some programs write them, are no outline. What the file states about
    a picture's (height, width) goes to SIZES.
    """
    content = load_json(path)
    if not is_coco(content):
        errors.append(f"{path}: not COCO's lists categories, images, annotations; export it again as COCO JSON")
        return {}, {}
    used = {str(one.get("category_id")) for one in content["annotations"]}
    labels, stems = _labels(path, content, used, errors), {}
    for image in content["images"]:
        name, key = image.get("file_name"), str(image.get("id"))
        if not isinstance(name, str) or "id" not in image:
            errors.append(f"{path}: the image {key} has no id or file_name; export it again as COCO JSON")
            continue
        stem = names.stem(name)
        if key in stems or stem in stems.values():
            errors.append(f"{path}: the image {name} (id {key}) occurs twice, by its id or its name without folder; "
                          "rename one picture, or remove one of the entries")
        stems[key] = stem
        height, width = (number(image.get(side)) for side in ("height", "width"))
        if height and width:
            sizes[stem] = (path, round(height), round(width))
    if twice := names.alike({labels[key] for key in labels if key in used}):
        errors.append(f"{path}: the categories {' and '.join(twice)} differ by their letters' case only; make them one")
    boxes, outlines = {stem: [] for stem in stems.values()}, {stem: [] for stem in stems.values()}
    for k, one in enumerate(content["annotations"], 1):
        image, category = str(one.get("image_id")), str(one.get("category_id"))
        where = f"{path}: annotation {one.get('id', f'number {k}')} of {stems.get(image, f'image {image}')}"
        box, outline = _box(one), one.get("segmentation")
        if image not in stems:
            errors.append(f"{where}: no image has this id; add the image, or remove the annotation")
        elif category not in labels:
            errors.append(f"{where}: no category has the id {category}; add the category, or correct the annotation")
        elif labels[category] == "background":
            errors.append(f"{where}: a box of the background; remove it, or correct its category")
        elif _numbers(one.get("bbox")) and are_shares(one["bbox"]):
            errors.append(f"{where}: its bbox {one['bbox']} seems to be in shares of the picture; export pixels")
        elif box is None:
            errors.append(f"{where}: its bbox is {str(one.get('bbox'))[:60]}, not [x, y, width, height], and it has no "
                          "polygon that gives one; draw its box, or remove the annotation")
        else:
            boxes[stems[image]].append((labels[category], box, is_set(one.get("iscrowd"))))
            outlines[stems[image]].append(None if _is_box(outline, box) else outline)
    return boxes, {stem: found for stem, found in outlines.items() if found and all(found)}


def _labels(path, content, used, errors: list) -> dict[str, str]:
    """Read {category's id: class} of the categories that are USED."""
    labels = {}
    for category in content["categories"]:
        key = str(category.get("id"))
        if key in labels and key in used:
            errors.append(f"{path}: two categories have the id {key}; correct one of them")
        try:
            labels[key] = names.class_name(category.get("name"))
        except FileError as error:
            labels[key] = str(category.get("name"))
            if key in used:
                errors.append(f"{path}: the category {key}: {error}")
    return labels


def _box(one) -> tuple[int, int, int, int] | None:
    """Return the corners of an annotation's box, or of its polygons where it has none; None without both."""
    given = one.get("bbox")
    if _numbers(given) and len(given) == 4:
        x, y, width, height = given
        return round(x), round(y), round(x + width), round(y + height)
    parts = one.get("segmentation")
    if given or not isinstance(parts, list) or not parts or not all(_numbers(part) and len(part) > 5 for part in parts):
        return None
    across, down = ([value for part in parts for value in part[k::2]] for k in (0, 1))
    return tuple(map(round, (min(across), min(down), max(across), max(down))))


def _numbers(values) -> bool:
    return isinstance(values, list) and all(
        isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e9 for value in values)


def _is_box(outline, box) -> bool:
    """Tell whether an outline is nothing but its box's corners."""
    if not isinstance(outline, list) or len(outline) != 1 or not _numbers(outline[0]) or len(outline[0]) > 10:
        return False
    corners = {(round(x), round(y)) for x, y in zip(outline[0][::2], outline[0][1::2], strict=False)}
    return corners == {(across, down) for across in box[::2] for down in box[1::2]}
