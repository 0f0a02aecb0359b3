// Command judge verifies a Seawall log folder, or a proof bundle, with nothing but Go's standard
// library and golang.org/x/mod/sumdb/{note,tlog}. It shares no code with the log's writer and does
// not understand record bodies: for it a body is what a leaf commits to.
//
//	judge folder DIR LOG_KEY KEYS [EARLIER]
//	judge bundle FILE LOG_KEY KEYS
//
// LOG_KEY is the log's verifier key and KEYS a comma-separated list of the Ed25519 keys, in hex, that
// may sign leaves. EARLIER is a checkpoint file seen before. Exit 0 means accepted; otherwise the
// first thing that is wrong is printed.
package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const tileHeight = 8

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Println("rejected:", err)
		os.Exit(1)
	}
	fmt.Println("accepted")
}

func run(args []string) error {
	if len(args) < 4 {
		return errors.New("usage: judge folder|bundle PATH LOG_KEY KEYS [EARLIER]")
	}
	keys, err := parseKeys(args[3])
	if err != nil {
		return err
	}
	switch args[0] {
	case "bundle":
		return judgeBundle(args[1], args[2], keys)
	case "folder":
		earlier := ""
		if len(args) > 4 {
			earlier = args[4]
		}
		return judgeFolder(args[1], args[2], keys, earlier)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

// parseKeys maps SHA-256 of each key to the key.
func parseKeys(list string) (map[[32]byte]ed25519.PublicKey, error) {
	keys := make(map[[32]byte]ed25519.PublicKey)
	for _, text := range strings.Split(list, ",") {
		key, err := hex.DecodeString(text)
		if err != nil || len(key) != ed25519.PublicKeySize {
			return nil, fmt.Errorf("%q is not a key", text)
		}
		keys[sha256.Sum256(key)] = key
	}
	return keys, nil
}

// openCheckpoint verifies a signed note with the log's key and reads the tree in it.
func openCheckpoint(text []byte, logKey string) (tlog.Tree, error) {
	var tree tlog.Tree
	verifier, err := note.NewVerifier(logKey)
	if err != nil {
		return tree, fmt.Errorf("log key: %w", err)
	}
	opened, err := note.Open(text, note.VerifierList(verifier))
	if err != nil {
		return tree, fmt.Errorf("checkpoint: %w", err)
	}
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[3] != "" {
		return tree, errors.New("checkpoint: not three lines")
	}
	if lines[0] != verifier.Name() {
		return tree, errors.New("checkpoint: of another log")
	}
	tree.N, err = strconv.ParseInt(lines[1], 10, 64)
	if err != nil || tree.N < 0 || strconv.FormatInt(tree.N, 10) != lines[1] {
		return tree, errors.New("checkpoint: bad size")
	}
	tree.Hash, err = tlog.ParseHash(lines[2])
	return tree, err
}

// checkLeaf checks that the leaf commits to the body and is signed by one of the keys.
func checkLeaf(index int64, body, leaf []byte, keys map[[32]byte]ed25519.PublicKey) error {
	if len(leaf) != 128 {
		return fmt.Errorf("record %d: leaf of %d bytes", index, len(leaf))
	}
	once := sha256.Sum256(body)
	checksum := sha256.Sum256(once[:])
	if !bytes.Equal(checksum[:], leaf[:32]) {
		return fmt.Errorf("record %d: leaf commits to another body", index)
	}
	var keyHash [32]byte
	copy(keyHash[:], leaf[96:])
	key, known := keys[keyHash]
	if !known {
		return fmt.Errorf("record %d: leaf signed by an unknown key", index)
	}
	message := append([]byte("sigsum.org/v1/tree-leaf\x00"), leaf[:32]...)
	if !ed25519.Verify(key, message, leaf[32:96]) {
		return fmt.Errorf("record %d: bad leaf signature", index)
	}
	return nil
}

// checkBound checks that the digests of the detail and of the body before stand in the body. Where
// they stand is our format's business; that a digest of 32 bytes stands there by chance is not.
func checkBound(index int64, body, detail, previous []byte) error {
	digest := sha256.Sum256(detail)
	if detail != nil && !bytes.Contains(body, digest[:]) {
		return fmt.Errorf("record %d: another detail than the body names", index)
	}
	digest = sha256.Sum256(previous)
	if previous != nil && !bytes.Contains(body, digest[:]) {
		return fmt.Errorf("record %d: does not name the body before it", index)
	}
	return nil
}

func judgeFolder(dir, logKey string, keys map[[32]byte]ed25519.PublicKey, earlier string) error {
	public, err := os.ReadFile(filepath.Join(dir, "log.pub"))
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(public)) != logKey {
		return errors.New("log.pub is another key")
	}
	text, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	if err != nil {
		return err
	}
	tree, err := openCheckpoint(text, logKey)
	if err != nil {
		return err
	}
	records, err := readSegments(dir)
	if err != nil {
		return err
	}
	hashes, err := checkRecords(records, tree, keys)
	if err != nil {
		return err
	}
	if err := checkTiles(dir, tree, hashes); err != nil {
		return err
	}
	if earlier == "" {
		return nil
	}
	text, err = os.ReadFile(earlier)
	if err != nil {
		return err
	}
	return checkConsistency(dir, tree, text, logKey)
}

// checkRecords checks each record and the root over all that the tree covers.
func checkRecords(records []record, tree tlog.Tree, keys map[[32]byte]ed25519.PublicKey) ([]tlog.Hash, error) {
	if int64(len(records)) < tree.N {
		return nil, fmt.Errorf("%d records, the checkpoint covers %d", len(records), tree.N)
	}
	var stored []tlog.Hash
	reader := tlog.HashReaderFunc(func(indexes []int64) ([]tlog.Hash, error) {
		found := make([]tlog.Hash, len(indexes))
		for at, index := range indexes {
			found[at] = stored[index]
		}
		return found, nil
	})
	var leaves []tlog.Hash
	for at, record := range records {
		index := int64(at)
		var previous []byte
		if at > 0 {
			previous = records[at-1].body
		}
		if err := checkBound(index, record.body, record.detail, previous); err != nil {
			return nil, err
		}
		if record.leaf == nil {
			if index < tree.N {
				return nil, fmt.Errorf("record %d has no leaf", index)
			}
			continue
		}
		if err := checkLeaf(index, record.body, record.leaf, keys); err != nil {
			return nil, err
		}
		if index >= tree.N {
			continue
		}
		more, err := tlog.StoredHashes(index, record.leaf, reader)
		if err != nil {
			return nil, err
		}
		stored = append(stored, more...)
		leaves = append(leaves, more[0])
	}
	root, err := tlog.TreeHash(tree.N, reader)
	if err != nil {
		return nil, err
	}
	if root != tree.Hash {
		return nil, errors.New("the records have another root than the checkpoint")
	}
	return leaves, nil
}

// tiles reads tiles of a folder laid out as C2SP tlog-tiles: as sumdb's, without the height.
type tiles struct{ dir string }

func (t tiles) Height() int { return tileHeight }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		path := strings.Replace(tile.Path(), "tile/8/", "tile/", 1)
		data, err := os.ReadFile(filepath.Join(t.dir, path))
		if err != nil {
			return nil, err
		}
		found = append(found, data)
	}
	return found, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}

// checkTiles reads every leaf's hash through the tiles, which authenticates all of them against the
// root, and proves and checks every leaf's inclusion.
func checkTiles(dir string, tree tlog.Tree, leaves []tlog.Hash) error {
	reader := tlog.TileHashReader(tree, tiles{dir})
	indexes := make([]int64, len(leaves))
	for at := range leaves {
		indexes[at] = tlog.StoredHashIndex(0, int64(at))
	}
	found, err := reader.ReadHashes(indexes)
	if err != nil {
		return fmt.Errorf("tiles: %w", err)
	}
	for at, hash := range found {
		if hash != leaves[at] {
			return fmt.Errorf("record %d: the tile has another hash", at)
		}
		proof, err := tlog.ProveRecord(tree.N, int64(at), reader)
		if err != nil {
			return fmt.Errorf("tiles: %w", err)
		}
		if err := tlog.CheckRecord(proof, tree.N, tree.Hash, int64(at), hash); err != nil {
			return fmt.Errorf("record %d: %w", at, err)
		}
	}
	return nil
}

// checkConsistency proves from the tiles that the tree contains the earlier one, and checks that.
func checkConsistency(dir string, tree tlog.Tree, text []byte, logKey string) error {
	older, err := openCheckpoint(text, logKey)
	if err != nil {
		return fmt.Errorf("earlier %w", err)
	}
	if older.N > tree.N {
		return fmt.Errorf("the log had %d leaves before and has %d", older.N, tree.N)
	}
	if older.N == 0 {
		return nil
	}
	proof, err := tlog.ProveTree(tree.N, older.N, tlog.TileHashReader(tree, tiles{dir}))
	if err != nil {
		return err
	}
	return tlog.CheckTree(proof, tree.N, tree.Hash, older.N, older.Hash)
}

type bundleRecord struct {
	Index     int64
	Body      string
	Detail    *string
	Leaf      string
	Inclusion []string
}

type bundle struct {
	Format     string
	Record     bundleRecord
	Epochs     []bundleRecord
	Checkpoint string
	LogKey     string `json:"log_key"`
}

func judgeBundle(path, logKey string, keys map[[32]byte]ed25519.PublicKey) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var parsed bundle
	if err := json.Unmarshal(text, &parsed); err != nil {
		return err
	}
	if parsed.LogKey != logKey {
		return errors.New("of another log")
	}
	tree, err := openCheckpoint([]byte(parsed.Checkpoint), logKey)
	if err != nil {
		return err
	}
	for _, record := range append(parsed.Epochs, parsed.Record) {
		if err := record.check(tree, keys); err != nil {
			return err
		}
	}
	return nil
}

func (r bundleRecord) check(tree tlog.Tree, keys map[[32]byte]ed25519.PublicKey) error {
	body, err := base64.StdEncoding.DecodeString(r.Body)
	if err != nil {
		return err
	}
	var detail []byte
	if r.Detail != nil {
		if detail, err = base64.StdEncoding.DecodeString(*r.Detail); err != nil {
			return err
		}
	}
	leaf, err := hex.DecodeString(r.Leaf)
	if err != nil {
		return err
	}
	if err := checkLeaf(r.Index, body, leaf, keys); err != nil {
		return err
	}
	if err := checkBound(r.Index, body, detail, nil); err != nil {
		return err
	}
	var proof tlog.RecordProof
	for _, text := range r.Inclusion {
		bytes, err := hex.DecodeString(text)
		if err != nil || len(bytes) != tlog.HashSize {
			return errors.New("a hash of the path is none")
		}
		var hash tlog.Hash
		copy(hash[:], bytes)
		proof = append(proof, hash)
	}
	return tlog.CheckRecord(proof, tree.N, tree.Hash, r.Index, tlog.RecordHash(leaf))
}
