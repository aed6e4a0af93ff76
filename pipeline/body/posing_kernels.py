"""Triton kernels of `posing_gpu`. Rows of 12 hold a rotation (row by row) and then a place or a shift; points are the vertices, then the joints.

Derivative of the kinematics: a vertex of gradient g gives each of its joints the force w g and the moment w (R x + t) x g about the origin. Forces and moments
summed over a joint and all joints below it give the torque about the joint's own place, and the left Jacobian of SO(3) (Chirikjian 2012, section 10.3) makes of
the torque the derivative by the axis-angle vector.
"""

from __future__ import annotations

import triton
import triton.language as tl

from pipeline.geometry.triton_vector import cross, load_matrix, load_vector, matrix_times, store_matrix, store_vector, transposed


@triton.jit
def _rotation(x, y, z):
    """Rodrigues' formula: as `rotvec_to_matrix_torch`."""
    angle = tl.sqrt(x * x + y * y + z * z + 1e-12)
    half = tl.sin(0.5 * angle) / angle
    s, c = tl.sin(angle) / angle, 2 * half * half
    xx, yy, zz, xy, xz, yz = c * x * x, c * y * y, c * z * z, c * x * y, c * x * z, c * y * z
    return 1 - yy - zz, xy - s * z, xz + s * y, xy + s * z, 1 - xx - zz, yz - s * x, xz - s * y, yz + s * x, 1 - xx - yy


@triton.jit
def _turn_of_axis_angle(pose, torque):
    """Transposed left Jacobian of SO(3) at the axis-angle vector, times the torque: the derivative by that vector."""
    square = pose[0] * pose[0] + pose[1] * pose[1] + pose[2] * pose[2] + 1e-12
    angle = tl.sqrt(square)
    half = tl.sin(0.5 * angle) / angle
    small = square < 1
    wide = tl.where(small, 1.0, square)
    series = 1 / 6 - square * (1 / 120 - square * (1 / 5040 - square * (1 / 362880 - square / 39916800)))
    third = tl.where(small, series, (1 - tl.sin(angle) / angle) / wide)
    once = cross(pose, torque)
    twice = cross(pose, once)
    c = 2 * half * half
    return torque[0] - c * once[0] + third * twice[0], torque[1] - c * once[1] + third * twice[1], torque[2] - c * once[2] + third * twice[2]


@triton.jit(do_not_specialize=["expressions", "joints"])
def coefficients(expression, pose, weights, expressions, joints, EXPRESSIONS: tl.constexpr, LANES: tl.constexpr):
    """weights [B, E + 9 (J - 1)]: the expression, then R - I of each joint but the root, row by row."""
    frame = tl.program_id(0)
    row = weights + frame * (expressions + 9 * (joints - 1))
    e = tl.arange(0, EXPRESSIONS)
    tl.store(row + e, tl.load(expression + frame * expressions + e, mask=e < expressions, other=0.0), mask=e < expressions)
    joint = tl.arange(0, LANES)
    on = (joint > 0) & (joint < joints)
    a = load_vector(pose + frame * joints * 3 + 3 * joint, on)
    R = _rotation(a[0], a[1], a[2])
    store_matrix(row + expressions + 9 * (joint - 1), (R[0] - 1, R[1], R[2], R[3], R[4] - 1, R[5], R[6], R[7], R[8] - 1), on)


@triton.jit(do_not_specialize=["expressions", "joints"])
def coefficients_backward(pose, d_weights, d_pose, expressions, joints, LANES: tl.constexpr):
    """Adds to d_pose [B, J, 3] what comes through the correctives: the columns of R and of its derivative G make the torque sum(R_c x G_c)."""
    frame, joint = tl.program_id(0), tl.arange(0, LANES)
    on = (joint > 0) & (joint < joints)
    a = load_vector(pose + frame * joints * 3 + 3 * joint, on)
    R = _rotation(a[0], a[1], a[2])
    G = load_matrix(d_weights + frame * (expressions + 9 * (joints - 1)) + expressions + 9 * (joint - 1), on)
    x, y, z = cross((R[0], R[3], R[6]), (G[0], G[3], G[6])), cross((R[1], R[4], R[7]), (G[1], G[4], G[7])), cross((R[2], R[5], R[8]), (G[2], G[5], G[8]))
    turn = _turn_of_axis_angle(a, (x[0] + y[0] + z[0], x[1] + y[1] + z[1], x[2] + y[2] + z[2]))
    place = d_pose + frame * joints * 3 + 3 * joint
    before = load_vector(place, on)
    store_vector(place, (before[0] + turn[0], before[1] + turn[1], before[2] + turn[2]), on)


@triton.jit(do_not_specialize=["vertices"])
def rest_joints(rest_points, offsets, start, vertex, weight, rest, vertices, BLOCK: tl.constexpr):
    """rest [J, 3]: one joint per program, moved by the offsets of the vertices that it is regressed from."""
    joint = tl.program_id(0)
    end = tl.load(start + joint + 1)
    x, y, z = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    for first in range(tl.load(start + joint), end, BLOCK):
        at = first + tl.arange(0, BLOCK)
        on = at < end
        share = tl.load(weight + at, mask=on, other=0.0)
        moved = load_vector(offsets + 3 * tl.load(vertex + at, mask=on, other=0), on)
        x, y, z = x + share * moved[0], y + share * moved[1], z + share * moved[2]
    point = rest_points + 3 * (vertices + joint)
    tl.store(rest + 3 * joint, tl.load(point) + tl.sum(x))
    tl.store(rest + 3 * joint + 1, tl.load(point + 1) + tl.sum(y))
    tl.store(rest + 3 * joint + 2, tl.load(point + 2) + tl.sum(z))


@triton.jit(do_not_specialize=["border", "values", "components"])
def shape(rest_points, offsets, rest, expression, basis, points, border, values, components, ROWS: tl.constexpr, BLOCK: tl.constexpr):
    """points [B, values] at rest: vertices with their offsets (below `border`) and joints as `rest_joints` left them, plus the expression."""
    at, frame = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.program_id(1)
    on = at < values
    total = tl.zeros([ROWS, BLOCK], tl.float32)
    for first in tl.range(0, components, ROWS, loop_unroll_factor=4):
        e = first + tl.arange(0, ROWS)
        weight = tl.load(expression + frame * components + e, mask=e < components, other=0.0)
        total += weight[:, None] * tl.load(basis + e[:, None] * values + at[None, :], mask=(e < components)[:, None] & on[None, :], other=0.0)
    value = tl.load(rest_points + at, mask=at < border, other=0.0) + tl.load(offsets + at, mask=at < border, other=0.0)
    value += tl.load(rest + at - border, mask=on & (at >= border), other=0.0)
    tl.store(points + frame * values + at, value + tl.sum(total, axis=0), mask=on)


@triton.jit(do_not_specialize=["vertices", "joints", "depth"])
def kinematics(pose, points, chains, local, moves, vertices, joints, depth, LANES: tl.constexpr):
    """moves [B, J, 12]: x -> R x + t of every joint, one lane per joint, which walks up to the root. local: room for [B, J, 12]."""
    frame, joint = tl.program_id(0), tl.arange(0, LANES)
    on = joint < joints
    row = local + frame * joints * 12
    a = load_vector(pose + frame * joints * 3 + 3 * joint, on)
    turn = _rotation(a[0], a[1], a[2])
    store_matrix(row + 12 * joint, turn, on)
    store_vector(row + 9 + 12 * joint, load_vector(points + frame * 3 * (vertices + joints) + 3 * (vertices + joint), on), on)
    tl.debug_barrier()  # the lanes read each other's rows
    zero, one = tl.zeros([LANES], tl.float32), tl.full([LANES], 1.0, tl.float32)
    R, t = (one, zero, zero, zero, one, zero, zero, zero, one), (zero, zero, zero)
    for d in tl.range(0, depth, loop_unroll_factor=4):
        above = tl.load(chains + d * joints + joint, mask=on, other=-1)
        live = above >= 0
        L, place = load_matrix(row + 12 * above, live), load_vector(row + 9 + 12 * above, live)
        first, second, third = matrix_times(L, (R[0], R[3], R[6])), matrix_times(L, (R[1], R[4], R[7])), matrix_times(L, (R[2], R[5], R[8]))
        shift = matrix_times(L, (t[0] - place[0], t[1] - place[1], t[2] - place[2]))
        R = (
            tl.where(live, first[0], R[0]),
            tl.where(live, second[0], R[1]),
            tl.where(live, third[0], R[2]),
            tl.where(live, first[1], R[3]),
            tl.where(live, second[1], R[4]),
            tl.where(live, third[1], R[5]),
            tl.where(live, first[2], R[6]),
            tl.where(live, second[2], R[7]),
            tl.where(live, third[2], R[8]),
        )
        t = tl.where(live, shift[0] + place[0], t[0]), tl.where(live, shift[1] + place[1], t[1]), tl.where(live, shift[2] + place[2], t[2])
    row = moves + frame * joints * 12
    store_matrix(row + 12 * joint, R, on)
    store_vector(row + 9 + 12 * joint, t, on)


@triton.jit
def _blended(moves, joints, weights, vertex, vertices, on, K: tl.constexpr, BLOCK: tl.constexpr):
    """Rotation (9) and shift (3) of vertices: the moves of their joints, weighted."""
    zero = tl.zeros([BLOCK], tl.float32)
    m, t = (zero, zero, zero, zero, zero, zero, zero, zero, zero), (zero, zero, zero)
    for k in tl.static_range(K):
        weight = tl.load(weights + k * vertices + vertex, mask=on, other=0.0)
        live = weight != 0
        at = 12 * tl.load(joints + k * vertices + vertex, mask=live, other=0)
        r, s = load_matrix(moves + at, live), load_vector(moves + 9 + at, live)
        m = (
            m[0] + weight * r[0],
            m[1] + weight * r[1],
            m[2] + weight * r[2],
            m[3] + weight * r[3],
            m[4] + weight * r[4],
            m[5] + weight * r[5],
            m[6] + weight * r[6],
            m[7] + weight * r[7],
            m[8] + weight * r[8],
        )
        t = t[0] + weight * s[0], t[1] + weight * s[1], t[2] + weight * s[2]
    return m, t


@triton.jit(do_not_specialize=["vertices", "joints_count"])
def skin(points, moves, joints, weights, translation, posed, scale, vertices, joints_count, K: tl.constexpr, BLOCK: tl.constexpr):
    """posed [B, V, 3] = scale (M x + t) + translation, with M and t blended from the joints of each vertex."""
    vertex, frame = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.program_id(1)
    on = vertex < vertices
    m, t = _blended(moves + frame * joints_count * 12, joints, weights, vertex, vertices, on, K, BLOCK)
    v = matrix_times(m, load_vector(points + frame * 3 * (vertices + joints_count) + 3 * vertex, on))
    s = tl.load(translation + 3 * frame), tl.load(translation + 3 * frame + 1), tl.load(translation + 3 * frame + 2)
    put = scale * (v[0] + t[0]) + s[0], scale * (v[1] + t[1]) + s[1], scale * (v[2] + t[2]) + s[2]
    store_vector(posed + frame * 3 * vertices + 3 * vertex, put, on)


@triton.jit(do_not_specialize=["vertices", "joints"])
def sum_runs(points, moves, d_posed, start, run_joint, run_vertices, run_weights, partial, vertices, joints, BLOCK: tl.constexpr):
    """partial [B, runs, 8]: moment (3) about the origin and force (3) on one joint by a run of its vertices, before scaling."""
    run, frame = tl.program_id(0), tl.program_id(1)
    at = tl.load(start + run) + tl.arange(0, BLOCK)
    on = at < tl.load(start + run + 1)
    share, vertex = tl.load(run_weights + at, mask=on, other=0.0), 3 * tl.load(run_vertices + at, mask=on, other=0)
    x = load_vector(points + frame * 3 * (vertices + joints) + vertex, on)
    g = load_vector(d_posed + frame * 3 * vertices + vertex, on)
    joint = tl.load(run_joint + run)
    row, real = moves + frame * joints * 12, joint < joints
    y, t = matrix_times(load_matrix(row + 12 * joint, real), x), load_vector(row + 9 + 12 * joint, real)
    force = share * g[0], share * g[1], share * g[2]
    moment = cross((y[0] + t[0], y[1] + t[1], y[2] + t[2]), force)
    row = partial + (frame * tl.num_programs(0) + run) * 8
    for k in tl.static_range(3):
        tl.store(row + k, tl.sum(moment[k]))
        tl.store(row + 3 + k, tl.sum(force[k]))


@triton.jit
def _sum_of_runs(partial, start, end, BLOCK: tl.constexpr):
    """Moment and force of the runs from start to end."""
    zero = tl.zeros([BLOCK], tl.float32)
    m, f = (zero, zero, zero), (zero, zero, zero)
    for first in range(start, end, BLOCK):
        run = first + tl.arange(0, BLOCK)
        on = run < end
        a, b = load_vector(partial + 8 * run, on), load_vector(partial + 3 + 8 * run, on)
        m, f = (m[0] + a[0], m[1] + a[1], m[2] + a[2]), (f[0] + b[0], f[1] + b[1], f[2] + b[2])
    return (tl.sum(m[0]), tl.sum(m[1]), tl.sum(m[2])), (tl.sum(f[0]), tl.sum(f[1]), tl.sum(f[2]))


@triton.jit(do_not_specialize=["vertices", "joints", "runs"])
def kinematics_backward(
    pose, points, moves, partial, parents, below_start, below_end, d_pose, d_translation, d_points, scale, vertices, joints, runs, BLOCK: tl.constexpr
):  # fmt: skip
    """d_pose [B, J, 3] and the joints' part of d_points [B, 3 (V + J)], one joint per program; the program after the last joint does d_translation [B, 3]."""
    joint, frame = tl.program_id(0), tl.program_id(1)
    moment, force = _sum_of_runs(partial + frame * runs * 8, tl.load(below_start + joint), tl.load(below_end + joint), BLOCK)
    real = joint < joints
    if real:
        row = moves + frame * joints * 12
        parent = tl.load(parents + joint)
        R, t, above = load_matrix(row + 12 * joint, real), load_vector(row + 9 + 12 * joint, real), load_matrix(row + 12 * parent, parent >= 0)
        one = tl.where(parent < 0, 1.0, 0.0)
        above = above[0] + one, above[1], above[2], above[3], above[4] + one, above[5], above[6], above[7], above[8] + one
        place = matrix_times(R, load_vector(points + frame * 3 * (vertices + joints) + 3 * (vertices + joint), real))
        lever = cross((place[0] + t[0], place[1] + t[1], place[2] + t[2]), force)
        torque = matrix_times(transposed(above), (scale * (moment[0] - lever[0]), scale * (moment[1] - lever[1]), scale * (moment[2] - lever[2])))
        a = load_vector(pose + frame * joints * 3 + 3 * joint, real)
        store_vector(d_pose + frame * joints * 3 + 3 * joint, _turn_of_axis_angle(a, torque), real)
        still, carried = matrix_times(transposed(above), force), matrix_times(transposed(R), force)
        moved = scale * (still[0] - carried[0]), scale * (still[1] - carried[1]), scale * (still[2] - carried[2])
        store_vector(d_points + frame * 3 * (vertices + joints) + 3 * (vertices + joint), moved, real)
    else:
        store_vector(d_translation + 3 * frame, force, joint == joints)


@triton.jit(do_not_specialize=["vertices", "joints_count", "frames"])
def skin_backward(
    d_posed, moves, joints, weights, regressing_joints, regressing_weights, d_points, d_offsets, scale, vertices, joints_count, frames,
    K: tl.constexpr, L: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """d_points [B, 3 (V + J)], the vertices' part, and d_offsets [V, 3]: over all frames, through the vertices and through the joints regressed from them."""
    vertex = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    on = vertex < vertices
    x, y, z = tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32), tl.zeros([BLOCK], tl.float32)
    for frame in range(frames):
        m, t = _blended(moves + frame * joints_count * 12, joints, weights, vertex, vertices, on, K, BLOCK)
        g = matrix_times(transposed(m), load_vector(d_posed + frame * 3 * vertices + 3 * vertex, on))
        row = d_points + frame * 3 * (vertices + joints_count)
        store_vector(row + 3 * vertex, (scale * g[0], scale * g[1], scale * g[2]), on)
        x, y, z = x + scale * g[0], y + scale * g[1], z + scale * g[2]
        for k in tl.static_range(L):
            share = tl.load(regressing_weights + k * vertices + vertex, mask=on, other=0.0)
            live = share != 0
            g = load_vector(row + 3 * (vertices + tl.load(regressing_joints + k * vertices + vertex, mask=live, other=0)), live)
            x, y, z = x + share * g[0], y + share * g[1], z + share * g[2]
    store_vector(d_offsets + 3 * vertex, (x, y, z), on)
