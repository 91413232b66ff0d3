"""``./mosaic package``: what is deployed, built so that two builds have one digest.

`wheels` fetches the dependencies by hash and unpacks them, `bytecode` compiles, `staging` puts the folder together and
holds it against the list of what may ship, `archive` writes the zip and the manifest, `bill` the bill of materials and
the licences.
"""
