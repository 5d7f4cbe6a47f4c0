#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Summarise one brain volume: histogram, bounding box, centre of mass, a picture of the middle slices.

usage: volume.py FILE.nii[.gz] OUTPUT-DIRECTORY

An ordinary program: it prints lines, and if the environment names a descriptor in PLEXUS_PROGRESS_FD it
also writes its progress there, one line "FRACTION TEXT" per slice. Writes NAME.png and NAME.json.
Format read: NIfTI-1, single file (https://nifti.nimh.nih.gov/nifti-1), 8, 16 or 32 bit voxels.
"""
import array
import gzip
import json
import os
import struct
import sys
import zlib

HEADER_BYTES = 348
HISTOGRAM_BINS = 32
VOXEL_TYPES = {2: "B", 4: "h", 8: "i", 16: "f", 256: "b", 512: "H"}


def read_volume(path):
    """Return (dimensions, voxel size in mm, voxels): x runs fastest, then y, then z."""
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rb") as file:
        data = file.read()
    if len(data) < HEADER_BYTES or data[344:347] not in (b"n+1", b"ni1"):
        raise SystemExit(f"{path}: not a NIfTI-1 file")
    order = "<" if struct.unpack_from("<i", data)[0] == HEADER_BYTES else ">"
    dims = struct.unpack_from(order + "8h", data, 40)[1:4]
    datatype = struct.unpack_from(order + "h", data, 70)[0]
    sizes = struct.unpack_from(order + "8f", data, 76)[1:4]
    offset = int(struct.unpack_from(order + "f", data, 108)[0])
    if datatype not in VOXEL_TYPES:
        raise SystemExit(f"{path}: voxel type {datatype} is not supported")
    voxels = array.array(VOXEL_TYPES[datatype])
    count = dims[0] * dims[1] * dims[2]
    if len(data) < offset + count * voxels.itemsize:
        raise SystemExit(f"{path}: cut short, {len(data)} bytes")
    voxels.frombytes(data[offset:offset + count * voxels.itemsize])
    if (order == "<") != (sys.byteorder == "little"):
        voxels.byteswap()
    return dims, [abs(size) for size in sizes], voxels


class Summary:
    """Sums that are gathered slice by slice."""

    def __init__(self, dims, low, high):
        self.dims, self.low, self.high = dims, low, high
        self.bins = [0] * HISTOGRAM_BINS
        self.mass = 0.0
        self.moments = [0.0, 0.0, 0.0]
        self.first = list(dims)
        self.last = [-1, -1, -1]

    def saw(self, axis, position):
        self.first[axis] = min(self.first[axis], position)
        self.last[axis] = max(self.last[axis], position)

    def add_slice(self, z, plane):
        nx, ny, _ = self.dims
        scale = HISTOGRAM_BINS / ((self.high - self.low) or 1)
        for value, count in counts(plane).items():
            self.bins[min(HISTOGRAM_BINS - 1, int((value - self.low) * scale))] += count
        if not any(plane):
            return
        self.saw(2, z)
        for y in range(ny):
            row = plane[y * nx:(y + 1) * nx]
            if any(row):
                self.saw(1, y)
                self.moments[1] += y * sum(row)
        for x in range(nx):
            column = plane[x::nx]
            if any(column):
                self.saw(0, x)
                self.moments[0] += x * sum(column)
        total = sum(plane)
        self.mass += total
        self.moments[2] += z * total

    def centre(self):
        return [moment / self.mass if self.mass else 0.0 for moment in self.moments]


def counts(plane):
    found = {}
    if plane.typecode == "B":
        data = plane.tobytes()
        for value in set(data):
            found[value] = data.count(value)
        return found
    for value in plane:
        found[value] = found.get(value, 0) + 1
    return found


def grey(values, low, high):
    scale = 255 / ((high - low) or 1)
    return bytes(max(0, min(255, int((value - low) * scale))) for value in values)


def middle_slices(dims, voxels, low, high):
    """The axial, coronal and sagittal middle slices as rows of grey bytes, top row first."""
    nx, ny, nz = dims
    plane = nx * ny

    def row(start):
        return voxels[start:start + nx]

    axial = [row(plane * (nz // 2) + y * nx) for y in reversed(range(ny))]
    coronal = [row(plane * z + nx * (ny // 2)) for z in reversed(range(nz))]
    sagittal = [voxels[plane * z + nx // 2:plane * (z + 1):nx] for z in reversed(range(nz))]
    return [[grey(row, low, high) for row in picture] for picture in (axial, coronal, sagittal)]


def write_png(path, pictures):
    """Pictures side by side, 8 bit grey (PNG, ISO/IEC 15948)."""
    height = max(len(picture) for picture in pictures)
    width = sum(len(picture[0]) + 4 for picture in pictures)
    rows = b""
    for y in range(height):
        line = b""
        for picture in pictures:
            line += (picture[y] if y < len(picture) else bytes(len(picture[0]))) + bytes(4)
        rows += b"\0" + line

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    with open(path, "wb") as file:
        file.write(b"\x89PNG\r\n\x1a\n")
        file.write(chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)))
        file.write(chunk(b"IDAT", zlib.compress(rows)))
        file.write(chunk(b"IEND", b""))


def report_progress(fraction, text):
    descriptor = os.environ.get("PLEXUS_PROGRESS_FD")
    if descriptor:
        try:
            os.write(int(descriptor), f"{fraction:.4f} {text}\n".encode())
        except OSError:
            pass


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    path, output = sys.argv[1:]
    name = os.path.basename(path).split(".nii")[0]
    dims, sizes, voxels = read_volume(path)
    low, high = min(voxels), max(voxels)
    print(f"{name}: {dims[0]} x {dims[1]} x {dims[2]} voxels, values {low:g} to {high:g}")
    summary = Summary(dims, low, high)
    plane = dims[0] * dims[1]
    for z in range(dims[2]):
        summary.add_slice(z, voxels[plane * z:plane * (z + 1)])
        report_progress((z + 1) / dims[2], f"slice {z + 1} of {dims[2]}")
        if (z + 1) % 32 == 0:
            print(f"slice {z + 1} of {dims[2]}")
    os.makedirs(output, exist_ok=True)
    picture = os.path.join(output, name + ".png")
    write_png(picture, middle_slices(dims, voxels, low, high))
    centre = summary.centre()
    with open(os.path.join(output, name + ".json"), "w", encoding="utf-8") as file:
        json.dump({
            "name": name, "dimensions": dims, "voxel_mm": sizes, "low": low, "high": high,
            "histogram": summary.bins, "bounding_box": {"first": summary.first, "last": summary.last},
            "centre_of_mass": centre,
        }, file, indent=1)
    print(f"centre of mass {centre[0]:.1f} {centre[1]:.1f} {centre[2]:.1f}")
    print(f"wrote {picture}")


if __name__ == "__main__":
    main()
