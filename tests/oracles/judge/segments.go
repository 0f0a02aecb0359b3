package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"sort"
)

// A frame is `[crc u32][length u32][kind u8][batch u64][payload]`, little endian. The CRC-32C starts
// from the segment's random number and the frame's offset and covers everything behind itself.
const (
	frameHead  = 17
	kindHeader = 1
	kindBody   = 2
	kindLeaf   = 3
	maxPayload = 1 << 20
)

type record struct {
	body, detail, leaf []byte
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// readSegments reads every record of the folder's segment files, in order.
func readSegments(dir string) ([]record, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "segments", "*.seg"))
	if err != nil {
		return nil, err
	}
	if len(paths) == 0 {
		return nil, errors.New("no segments")
	}
	sort.Strings(paths)
	var records []record
	leaves := 0
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		if records, leaves, err = readSegment(data, records, leaves); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Base(path), err)
		}
	}
	return records, nil
}

func readSegment(data []byte, records []record, leaves int) ([]record, int, error) {
	var nonce uint64
	offset := 0
	for {
		kind, payload, err := frameAt(data, offset, nonce)
		if err != nil || payload == nil {
			return records, leaves, err
		}
		switch {
		case kind == kindHeader && offset == 0:
			if len(payload) < 16 || string(payload[:8]) != "SEAWLOG1" {
				return nil, 0, errors.New("no segment header")
			}
			nonce = binary.LittleEndian.Uint64(payload[8:])
		case kind == kindBody && len(payload) >= 12:
			length := int(binary.LittleEndian.Uint32(payload[8:]))
			if binary.LittleEndian.Uint64(payload) != uint64(len(records)) || length > len(payload)-12 {
				return nil, 0, fmt.Errorf("byte %d: not record %d", offset, len(records))
			}
			records = append(records, record{body: payload[12 : 12+length], detail: payload[12+length:]})
		case kind == kindLeaf && len(payload) == 136:
			if binary.LittleEndian.Uint64(payload) != uint64(leaves) || leaves >= len(records) {
				return nil, 0, fmt.Errorf("byte %d: not leaf %d", offset, leaves)
			}
			records[leaves].leaf = payload[8:]
			leaves++
		default:
			return nil, 0, fmt.Errorf("byte %d: an unexpected frame", offset)
		}
		offset += frameHead + len(payload)
	}
}

// frameAt returns a nil payload where only zeros follow.
func frameAt(data []byte, offset int, nonce uint64) (byte, []byte, error) {
	rest := data[offset:]
	if allZero(rest) {
		return 0, nil, nil
	}
	if len(rest) < frameHead {
		return 0, nil, fmt.Errorf("byte %d: cut short", offset)
	}
	length := int(binary.LittleEndian.Uint32(rest[4:]))
	if length > maxPayload || length > len(rest)-frameHead {
		return 0, nil, fmt.Errorf("byte %d: no frame", offset)
	}
	seed := make([]byte, 16)
	binary.LittleEndian.PutUint64(seed, nonce)
	binary.LittleEndian.PutUint64(seed[8:], uint64(offset))
	sum := crc32.Update(crc32.Checksum(seed, castagnoli), castagnoli, rest[4:frameHead+length])
	if sum != binary.LittleEndian.Uint32(rest) {
		return 0, nil, fmt.Errorf("byte %d: bad checksum", offset)
	}
	return rest[8], rest[frameHead : frameHead+length], nil
}

func allZero(data []byte) bool {
	for _, value := range data {
		if value != 0 {
			return false
		}
	}
	return true
}
