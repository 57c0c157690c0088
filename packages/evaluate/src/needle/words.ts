/** Parts of needle keys: `adjective-noun`. */
export const adjectives =
  "amber bold brave brisk calm clever copper coral crimson dusty eager faint gentle golden happy hidden humble icy ivory jolly keen lively lucky merry mild misty noble old pale plain proud quick quiet rapid rosy royal rusty sandy sharp shiny silent silver sleepy small smooth solemn spare steady stormy sunny swift tame tidy timid velvet vivid warm wild wise young".split(
    " ",
  );

export const nouns =
  "anchor badger barrel basket beacon bridge brook candle canyon castle cedar comet cottage crane dolphin eagle ember falcon feather fiddle forest fox garden glacier harbor hawk heron island kettle lantern lark lemon lion maple meadow mirror moose mountain needle oak orchard otter owl pearl pepper pigeon planet pony quarry rabbit raven ribbon river robin saddle sparrow spruce stone thistle tiger turtle valley violin walnut willow wolf".split(
    " ",
  );
