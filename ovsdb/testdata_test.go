package ovsdb

// testSchema has every kind of column.
const testSchema = `{"name": "garden",
 "version": "1.2.0",
 "cksum": "0 0",
 "tables": {
   "Bed": {"isRoot": true, "columns": {
     "name": {"type": "string"},
     "depth": {"type": {"key": "integer", "min": 0, "max": 1}},
     "wet": {"type": "boolean"},
     "acid": {"type": "real"},
     "state": {"type": {"key": {"type": "string", "enum": ["set", ["dug", "fallow"]]}}},
     "notes": {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}},
     "plants": {"type": {"key": {"type": "uuid", "refTable": "Plant"}, "min": 0, "max": "unlimited"}}}},
   "Plant": {"columns": {
     "name": {"type": "string"},
     "years": {"type": {"key": "integer", "min": 0, "max": "unlimited"}}}}}}
`
