;; Dot products of rows of x with rows of a matrix, float32, four lanes.
;; All pointers are bytes into the memory; rows are $bytes long, a multiple of 16, and padded with zeros.
;; Each sum adds lane by lane over the inputs, then ((0 + 2) + (1 + 3)): product1 and product4 give the same bits.
(module
  (memory (export "memory") 1)

  (func $sum (param $v v128) (result f32)
    local.get $v  f32x4.extract_lane 0
    local.get $v  f32x4.extract_lane 2
    f32.add
    local.get $v  f32x4.extract_lane 1
    local.get $v  f32x4.extract_lane 3
    f32.add
    f32.add)

  ;; One row of x times four rows of the matrix at once, $groups times. Writes 4 * $groups results to $out.
  (func (export "product1") (param $x i32) (param $w i32) (param $out i32) (param $bytes i32) (param $groups i32)
    (local $i i32) (local $w1 i32) (local $w2 i32) (local $w3 i32) (local $v v128)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    loop $next
      local.get $w   local.get $bytes  i32.add  local.set $w1
      local.get $w1  local.get $bytes  i32.add  local.set $w2
      local.get $w2  local.get $bytes  i32.add  local.set $w3
      v128.const i32x4 0 0 0 0  local.set $a
      v128.const i32x4 0 0 0 0  local.set $b
      v128.const i32x4 0 0 0 0  local.set $c
      v128.const i32x4 0 0 0 0  local.set $d
      i32.const 0  local.set $i
      loop $inputs
        local.get $x  local.get $i  i32.add  v128.load  local.set $v
        local.get $w   local.get $i  i32.add  v128.load  local.get $v  f32x4.mul  local.get $a  f32x4.add  local.set $a
        local.get $w1  local.get $i  i32.add  v128.load  local.get $v  f32x4.mul  local.get $b  f32x4.add  local.set $b
        local.get $w2  local.get $i  i32.add  v128.load  local.get $v  f32x4.mul  local.get $c  f32x4.add  local.set $c
        local.get $w3  local.get $i  i32.add  v128.load  local.get $v  f32x4.mul  local.get $d  f32x4.add  local.set $d
        local.get $i  i32.const 16  i32.add  local.tee $i
        local.get $bytes  i32.lt_u
        br_if $inputs
      end
      local.get $out  local.get $a  call $sum  f32.store
      local.get $out  local.get $b  call $sum  f32.store offset=4
      local.get $out  local.get $c  call $sum  f32.store offset=8
      local.get $out  local.get $d  call $sum  f32.store offset=12
      local.get $out  i32.const 16  i32.add  local.set $out
      local.get $w3  local.get $bytes  i32.add  local.set $w
      local.get $groups  i32.const 1  i32.sub  local.tee $groups
      br_if $next
    end)

  ;; Four rows of x times two rows of the matrix at once, $pairs times. Rows of $out are $stride bytes apart.
  (func (export "product4") (param $x i32) (param $w i32) (param $out i32) (param $bytes i32) (param $pairs i32) (param $stride i32)
    (local $i i32) (local $x1 i32) (local $x2 i32) (local $x3 i32) (local $w1 i32) (local $to i32)
    (local $p v128) (local $q v128) (local $v v128)
    (local $a0 v128) (local $a1 v128) (local $a2 v128) (local $a3 v128)
    (local $b0 v128) (local $b1 v128) (local $b2 v128) (local $b3 v128)
    local.get $x   local.get $bytes  i32.add  local.set $x1
    local.get $x1  local.get $bytes  i32.add  local.set $x2
    local.get $x2  local.get $bytes  i32.add  local.set $x3
    loop $next
      local.get $w  local.get $bytes  i32.add  local.set $w1
      v128.const i32x4 0 0 0 0  local.set $a0
      v128.const i32x4 0 0 0 0  local.set $a1
      v128.const i32x4 0 0 0 0  local.set $a2
      v128.const i32x4 0 0 0 0  local.set $a3
      v128.const i32x4 0 0 0 0  local.set $b0
      v128.const i32x4 0 0 0 0  local.set $b1
      v128.const i32x4 0 0 0 0  local.set $b2
      v128.const i32x4 0 0 0 0  local.set $b3
      i32.const 0  local.set $i
      loop $inputs
        local.get $w   local.get $i  i32.add  v128.load  local.set $p
        local.get $w1  local.get $i  i32.add  v128.load  local.set $q
        local.get $x  local.get $i  i32.add  v128.load  local.set $v
        local.get $p  local.get $v  f32x4.mul  local.get $a0  f32x4.add  local.set $a0
        local.get $q  local.get $v  f32x4.mul  local.get $b0  f32x4.add  local.set $b0
        local.get $x1  local.get $i  i32.add  v128.load  local.set $v
        local.get $p  local.get $v  f32x4.mul  local.get $a1  f32x4.add  local.set $a1
        local.get $q  local.get $v  f32x4.mul  local.get $b1  f32x4.add  local.set $b1
        local.get $x2  local.get $i  i32.add  v128.load  local.set $v
        local.get $p  local.get $v  f32x4.mul  local.get $a2  f32x4.add  local.set $a2
        local.get $q  local.get $v  f32x4.mul  local.get $b2  f32x4.add  local.set $b2
        local.get $x3  local.get $i  i32.add  v128.load  local.set $v
        local.get $p  local.get $v  f32x4.mul  local.get $a3  f32x4.add  local.set $a3
        local.get $q  local.get $v  f32x4.mul  local.get $b3  f32x4.add  local.set $b3
        local.get $i  i32.const 16  i32.add  local.tee $i
        local.get $bytes  i32.lt_u
        br_if $inputs
      end
      local.get $out  local.get $a0  call $sum  f32.store
      local.get $out  local.get $b0  call $sum  f32.store offset=4
      local.get $out  local.get $stride  i32.add  local.tee $to
      local.get $a1  call $sum  f32.store
      local.get $to  local.get $b1  call $sum  f32.store offset=4
      local.get $to  local.get $stride  i32.add  local.tee $to
      local.get $a2  call $sum  f32.store
      local.get $to  local.get $b2  call $sum  f32.store offset=4
      local.get $to  local.get $stride  i32.add  local.tee $to
      local.get $a3  call $sum  f32.store
      local.get $to  local.get $b3  call $sum  f32.store offset=4
      local.get $out  i32.const 8  i32.add  local.set $out
      local.get $w1  local.get $bytes  i32.add  local.set $w
      local.get $pairs  i32.const 1  i32.sub  local.tee $pairs
      br_if $next
    end))
