"""Triangles to pixels: the compiled inner loops of the renderer (single thread, no fast-math: same input, same bits).

Image coordinates are continuous: the left edge of the first pixel is 0, its centre 0.5.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.floating]
Ints = NDArray[np.int32]


@njit(cache=True, error_model="numpy")
def vertex_normals(points: Floats, faces: Ints) -> Floats:
    """Unit normals [P, 3], weighted by area; they point to where the triangles look clockwise turned round."""
    normals = np.zeros_like(points)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ux, uy, uz = points[b, 0] - points[a, 0], points[b, 1] - points[a, 1], points[b, 2] - points[a, 2]
        vx, vy, vz = points[c, 0] - points[a, 0], points[c, 1] - points[a, 1], points[c, 2] - points[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for p in (a, b, c):
            normals[p, 0] += nx
            normals[p, 1] += ny
            normals[p, 2] += nz
    for p in range(points.shape[0]):
        n = np.sqrt(normals[p, 0] ** 2 + normals[p, 1] ** 2 + normals[p, 2] ** 2) + np.float32(1e-20)
        normals[p, 0] /= n
        normals[p, 1] /= n
        normals[p, 2] /= n
    return normals


@njit(cache=True, error_model="numpy")
def _edge(ax: float, ay: float, bx: float, by: float, x: float, y: float) -> float:
    return (bx - ax) * (y - ay) - (by - ay) * (x - ax)


@njit(cache=True, error_model="numpy")
def nearest_triangles(
    screen: Floats,
    faces: Ints,
    height: int,
    width: int,
    texture: Floats,
    texture_faces: Ints,
    shell: Floats,
    cover: NDArray[np.uint8],
) -> tuple[Ints, Floats]:
    """Which triangle each pixel sees [height, width] (-1: none), and its corners' weights [height, width, 3].

    The weights are undefined where there is none. `screen` [P, 3] are pixel x, pixel y and 1 / depth. A triangle with
    `shell` [F] >= 0 is a layer of hair and covers a pixel only where the texture `cover` exceeds the shell's value.
    """
    seen = np.full((height, width), -1, np.int32)
    near = np.zeros((height, width), np.float32)
    weights = np.empty((height, width, 3), np.float32)
    rows, columns = cover.shape
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, bx, by, cx, cy = (
            screen[a, 0],
            screen[a, 1],
            screen[b, 0],
            screen[b, 1],
            screen[c, 0],
            screen[c, 1],
        )
        area = _edge(ax, ay, bx, by, cx, cy)
        if area >= 0:  # turned away
            continue
        x0 = max(int(np.ceil(min(ax, bx, cx) - 0.5)), 0)
        x1 = min(int(np.floor(max(ax, bx, cx) - 0.5)), width - 1)
        y0 = max(int(np.ceil(min(ay, by, cy) - 0.5)), 0)
        y1 = min(int(np.floor(max(ay, by, cy) - 0.5)), height - 1)
        scale = 1.0 / area
        ux, uy, u0 = -(cy - by) * scale, (cx - bx) * scale, _edge(bx, by, cx, cy, 0.5, 0.5) * scale
        vx, vy, v0 = -(ay - cy) * scale, (ax - cx) * scale, _edge(cx, cy, ax, ay, 0.5, 0.5) * scale
        for j in range(y0, y1 + 1):
            for i in range(x0, x1 + 1):
                u = u0 + ux * i + uy * j
                v = v0 + vx * i + vy * j
                w = 1.0 - u - v
                if u < 0 or v < 0 or w < 0:
                    continue
                depth = u * screen[a, 2] + v * screen[b, 2] + w * screen[c, 2]
                if depth <= near[j, i]:
                    continue
                if shell[f] >= 0:
                    ta, tb, tc = texture_faces[f, 0], texture_faces[f, 1], texture_faces[f, 2]
                    tx = (u * texture[ta, 0] + v * texture[tb, 0] + w * texture[tc, 0]) * columns
                    ty = (u * texture[ta, 1] + v * texture[tb, 1] + w * texture[tc, 1]) * rows
                    if cover[min(max(int(ty), 0), rows - 1), min(max(int(tx), 0), columns - 1)] <= shell[f]:
                        continue
                near[j, i] = depth
                seen[j, i] = f
                far = 1.0 / depth
                weights[j, i, 0] = u * screen[a, 2] * far
                weights[j, i, 1] = v * screen[b, 2] * far
                weights[j, i, 2] = w * screen[c, 2] * far
    return seen, weights


@njit(cache=True, error_model="numpy")
def paint(screen: Floats, faces: Ints, values: Floats, value_faces: Ints, height: int, width: int) -> Floats:
    """Per-point `values` [T, C] interpolated over the triangles, whatever their turn; 0 where there is none."""
    channels = values.shape[1]
    image = np.zeros((height, width, channels), np.float32)
    for f in range(faces.shape[0]):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, bx, by, cx, cy = (
            screen[a, 0],
            screen[a, 1],
            screen[b, 0],
            screen[b, 1],
            screen[c, 0],
            screen[c, 1],
        )
        area = _edge(ax, ay, bx, by, cx, cy)
        if area == 0:
            continue
        x0, x1 = max(int(min(ax, bx, cx)), 0), min(int(max(ax, bx, cx)) + 1, width - 1)
        y0, y1 = max(int(min(ay, by, cy)), 0), min(int(max(ay, by, cy)) + 1, height - 1)
        slack = -0.75 / np.sqrt(np.abs(area))  # a little over the edge, so that no seam stays blank
        for j in range(y0, y1 + 1):
            for i in range(x0, x1 + 1):
                u = _edge(bx, by, cx, cy, i + 0.5, j + 0.5) / area
                v = _edge(cx, cy, ax, ay, i + 0.5, j + 0.5) / area
                if u < slack or v < slack or 1 - u - v < slack:
                    continue
                for k in range(channels):
                    p, q, r = value_faces[f, 0], value_faces[f, 1], value_faces[f, 2]
                    image[j, i, k] = u * values[p, k] + v * values[q, k] + (1 - u - v) * values[r, k]
    return image


@njit(cache=True, error_model="numpy")
def visible(
    points: Floats,
    normals: Floats,
    faces: Ints,
    occluders: int,
    towards: Floats,
    side: int,
    reach: float,
    bias: float,
) -> NDArray[np.float32]:
    """Which points [P] see the sky in each direction `towards` [J, 3]: 0 to 1, [P, J].

    Depth maps of side x side cells over +-reach, of the first `occluders` triangles; `bias` in the unit of points.
    """
    seen = np.zeros((points.shape[0], towards.shape[0]), np.float32)
    scale = side / (2 * reach)
    for k in range(towards.shape[0]):
        dx, dy, dz = towards[k, 0], towards[k, 1], towards[k, 2]
        ux, uy, uz = (dz, 0.0, -dx) if abs(dy) < 0.9 else (0.0, dz, -dy)
        n = np.sqrt(ux * ux + uy * uy + uz * uz)
        ux, uy, uz = ux / n, uy / n, uz / n
        vx, vy, vz = dy * uz - dz * uy, dz * ux - dx * uz, dx * uy - dy * ux
        turned = np.empty_like(points)
        for p in range(points.shape[0]):
            x, y, z = points[p, 0], points[p, 1], points[p, 2]
            turned[p, 0] = (x * ux + y * uy + z * uz + reach) * scale
            turned[p, 1] = (x * vx + y * vy + z * vz + reach) * scale
            turned[p, 2] = x * dx + y * dy + z * dz
        height = _heights(turned, faces, occluders, side)
        for p in range(points.shape[0]):
            if normals[p, 0] * dx + normals[p, 1] * dy + normals[p, 2] * dz < -0.35:
                continue
            i, j = int(turned[p, 0]), int(turned[p, 1])
            free = 0
            for y in range(j - 1, j + 2):
                for x in range(i - 1, i + 2):
                    inside = 0 <= x < side and 0 <= y < side
                    if not inside or height[y, x] <= turned[p, 2] + bias:
                        free += 1
            seen[p, k] = free / 9.0
    return seen


@njit(cache=True, error_model="numpy")
def _heights(turned: Floats, faces: Ints, occluders: int, side: int) -> Floats:
    height = np.full((side, side), np.float32(-1e9))
    for f in range(occluders):
        a, b, c = faces[f, 0], faces[f, 1], faces[f, 2]
        ax, ay, bx, by, cx, cy = (
            turned[a, 0],
            turned[a, 1],
            turned[b, 0],
            turned[b, 1],
            turned[c, 0],
            turned[c, 1],
        )
        area = _edge(ax, ay, bx, by, cx, cy)
        if area == 0:
            continue
        x0, x1 = max(int(min(ax, bx, cx)), 0), min(int(max(ax, bx, cx)), side - 1)
        y0, y1 = max(int(min(ay, by, cy)), 0), min(int(max(ay, by, cy)), side - 1)
        for j in range(y0, y1 + 1):
            for i in range(x0, x1 + 1):
                u = _edge(bx, by, cx, cy, i + 0.5, j + 0.5) / area
                v = _edge(cx, cy, ax, ay, i + 0.5, j + 0.5) / area
                if u >= 0 and v >= 0 and u + v <= 1:
                    depth = u * turned[a, 2] + v * turned[b, 2] + (1 - u - v) * turned[c, 2]
                    height[j, i] = max(height[j, i], depth)
    return height
