"""RDB: values as bytes, in Redis's own serialisation, which real servers write and read.

- ``codec``: lengths and strings, of which all else is made
- ``listpack``: small collections in one string
- ``lzf``: compressed strings, which are read and never written
- ``values``: a value with the byte that says how it is written
- ``streams``: the values of streams
- ``payload``: one value by itself, with version and checksum: DUMP and RESTORE
- ``crc64``: that checksum
- ``errors``: what is wrong with bytes

All is pure: bytes in, values out. What cannot be read raises ``RdbError``.
"""
