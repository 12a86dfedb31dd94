/* Places, light, weather, camera and style. The first `say` form is written half of the time. */
#include "common/words/lexicon_place.h"

#include "common/words/world.h"

#define ENV(id, en, zh, en_hear, zh_hear)                     \
    {                                                         \
        LEXICON_ENV, WORLD_ENV_##id, LEXICON_ANY, {en, zh}, { \
            en_hear, zh_hear                                  \
        }                                                     \
    }
#define PLACE(id, en, zh)                                       \
    {                                                           \
        LEXICON_PLACE, WORLD_ENV_##id, LEXICON_ANY, {en, zh}, { \
            NULL, NULL                                          \
        }                                                       \
    }
#define ALONG(id, en, zh)                                       \
    {                                                           \
        LEXICON_ALONG, WORLD_ENV_##id, LEXICON_ANY, {en, zh}, { \
            NULL, NULL                                          \
        }                                                       \
    }
#define DETAIL(id, en, zh)                                       \
    {                                                            \
        LEXICON_DETAIL, WORLD_ENV_##id, LEXICON_ANY, {en, zh}, { \
            NULL, NULL                                           \
        }                                                        \
    }
#define HINT(id, en_hear, zh_hear)                                     \
    {                                                                  \
        LEXICON_ENV_HINT, WORLD_ENV_##id, LEXICON_ANY, {NULL, NULL}, { \
            en_hear, zh_hear                                           \
        }                                                              \
    }
#define TIME(id, en, zh, en_hear, zh_hear)                      \
    {                                                           \
        LEXICON_TIME, WORLD_TIME_##id, LEXICON_ANY, {en, zh}, { \
            en_hear, zh_hear                                    \
        }                                                       \
    }
#define WEATHER(id, en, zh, en_hear, zh_hear)                         \
    {                                                                 \
        LEXICON_WEATHER, WORLD_WEATHER_##id, LEXICON_ANY, {en, zh}, { \
            en_hear, zh_hear                                          \
        }                                                             \
    }
#define AIR(id, en, zh)                                           \
    {                                                             \
        LEXICON_AIR, WORLD_WEATHER_##id, LEXICON_ANY, {en, zh}, { \
            NULL, NULL                                            \
        }                                                         \
    }
#define STYLE(id, en, zh, en_hear, zh_hear)                       \
    {                                                             \
        LEXICON_STYLE, WORLD_STYLE_##id, LEXICON_ANY, {en, zh}, { \
            en_hear, zh_hear                                      \
        }                                                         \
    }
#define PLAY(id, en, zh, en_hear, zh_hear)                      \
    {                                                           \
        LEXICON_PLAY, WORLD_MOVE_##id, LEXICON_ANY, {en, zh}, { \
            en_hear, zh_hear                                    \
        }                                                       \
    }
#define CAMERA(id, dir, en, zh, en_hear, zh_hear)                                              \
    {                                                                                          \
        LEXICON_CAMERA, LEXICON_CAMERA_VALUE(WORLD_CAMERA_##id, dir), LEXICON_ANY, {en, zh}, { \
            en_hear, zh_hear                                                                   \
        }                                                                                      \
    }

static const struct lexicon_row rows[] = {
    ENV(MEADOW, "a green meadow|a grassy meadow|a wide grassy field",
        "一片绿色的草地|一片青草地|开阔的草原",
        "meadow|grass|field|grassland|lawn|pasture|prairie|green field|grassy field|green "
        "meadow|countryside|hills|park|garden|jungle|rainforest|farm|yard|playground|"
        "on the grass|forest|woods|mountain|mountains|valley",
        "草地|草原|绿草地|草坪|田野|牧场|绿色草地|绿色的草地|公园|花园|丛林|雨林|农场|院子|操场|"
        "山谷|森林|山|乡间|草地上"),
    ENV(DESERT, "a desert with pyramids|a sandy desert with pyramids",
        "有金字塔的沙漠|一片有金字塔的沙漠",
        "desert|pyramid|pyramids|egypt|sahara|dune|dunes|sand dunes|giza|mars|sandy desert",
        "沙漠|金字塔|埃及|撒哈拉|沙丘|戈壁|火星|大漠"),
    ENV(SNOW_VILLAGE, "a snowy village|a village covered in snow|a snow-covered village",
        "一个下过雪的村庄|一座白雪覆盖的村庄|雪中的小村庄",
        "village|snowy|snow covered|winter|wintry|snowfield|snowy field|snow village|in the "
        "snow|in snow|on the snow|on snow|through the snow|"
        "through snow|snowy street|snowy road|ice|icy|christmas|alpine|covered in snow|snowy "
        "landscape|winter landscape|snowy mountain|ski slope",
        "雪村|村庄|雪地|雪地里|雪地上|在雪中|雪乡|冬天|冬日|雪山|雪原|小镇|村子|小村庄|白雪覆盖|"
        "冰天雪地|雪中|雪里|积雪|雪景|圣诞"),
    ENV(NEON_STREET,
        "a wet city street with neon lights|a neon-lit city street|a wet street full of neon signs",
        "亮着霓虹灯的湿漉漉的城市街道|霓虹闪烁的城市街道|满是霓虹招牌的街道",
        "neon|neon street|neon city|tokyo|tokyo street|neon lights|neon signs|neon sign|neon "
        "lit|cyberpunk|shibuya|shinjuku|akihabara|"
        "hong kong|times square|glowing neon|warm glowing neon|animated city signage|city "
        "signage|night city|cyberpunk city|neon tokyo|"
        "neon tokyo street|seoul|new york|manhattan|las vegas|blade runner|neon city "
        "street|osaka|kyoto|shanghai|japan",
        "霓虹|霓虹灯|霓虹街道|霓虹街|东京|东京街头|东京街道|赛博朋克|香港|涩谷|新宿|夜市|上海|纽约|"
        "招牌|广告牌|不夜城|霓虹灯街道|湿漉漉的街道"),
    ENV(SEA, "the open sea|a wide open sea", "开阔的大海|一望无际的大海",
        "sea|ocean|at sea|waves|water|lake|pacific|atlantic|high seas|on the water|the "
        "ocean|river|underwater|pond",
        "海|大海|海洋|海面|海上|海面上|湖|水面|太平洋|水上|波浪|海浪|湖面|河|大洋"),
    ENV(BEACH, "a sandy beach|a sandy beach by the sea", "一片沙滩|海边的沙滩",
        "beach|shore|coast|seaside|seashore|coastline|bay|tropical island|island|sand|coastal|big "
        "sur|cliffs|hawaii|tropical beach",
        "沙滩|海滩|海边|海岸|岸边|海岸线|海湾|海岛|沙滩上|海滨|悬崖|沙子"),
    ENV(STUDIO, "a painter's studio|an art studio", "一间画室|画家的画室",
        "studio|art studio|atelier|gallery|workshop|white room|museum|exhibition|plain "
        "background|white background|empty room|artist's studio",
        "画室|工作室|美术馆|展厅|画廊|摄影棚|影棚|纯色背景|白色背景"),
    ENV(KITCHEN, "a kitchen table|a wooden kitchen table", "一张厨房餐桌|厨房的木桌",
        "sofa|couch|living room|bedroom|kitchen|kitchen table|kitchen "
        "counter|restaurant|diner|dining "
        "table|cafe|café|tabletop|table top|wooden table|countertop",
        "厨房|餐桌|桌上|餐厅|厨房桌子|咖啡馆|饭桌|木桌|厨房里"),
    ENV(COFFEE_CUP, "a cup of coffee|a coffee cup", "一杯咖啡|一个咖啡杯",
        "coffee|cup|mug|coffee mug|espresso|latte|cappuccino|teacup|tea cup|cup of tea|tea|inside "
        "a cup|a mug of coffee",
        "咖啡|咖啡杯|杯子|杯中|茶杯|马克杯|咖啡里|一杯茶|拿铁"),
    ENV(BLOCK_WORLD, "a world made of blocks|a blocky voxel world|a block world",
        "由方块组成的世界|一个方块世界|体素方块世界",
        "minecraft|voxel|voxels|block world|blocky|blocky world|voxel world|minecraft world|cube "
        "world|lego|blocks world|digital world",
        "我的世界|体素|方块世界|像素方块|积木世界|沙盒游戏|乐高|麦块"),

    PLACE(MEADOW, "in a green meadow|on the grass of a meadow|in a grassy field",
          "在绿色的草地上|在青草地上"),
    PLACE(DESERT, "in a desert with pyramids|in front of desert pyramids",
          "在有金字塔的沙漠里|在沙漠的金字塔前"),
    PLACE(SNOW_VILLAGE, "in a snowy village|in the snow|in a village covered in snow",
          "在下过雪的村庄里|在雪地里|在白雪覆盖的村庄里"),
    PLACE(NEON_STREET,
          "on a wet neon street|on a neon-lit city street|down a wet street with neon lights|on a "
          "wet neon city street",
          "在霓虹闪烁的街道上|在湿漉漉的霓虹街道上|在城市的霓虹街头"),
    PLACE(SEA, "on the open sea|out at sea", "在大海上|在开阔的海面上"),
    PLACE(BEACH, "on a sandy beach|at the beach", "在沙滩上|在海边的沙滩上"),
    PLACE(STUDIO, "in a painter's studio|in an art studio", "在画室里|在画家的工作室里"),
    PLACE(KITCHEN, "on a kitchen table|on a wooden kitchen table", "在厨房的餐桌上|在厨房的木桌上"),
    PLACE(COFFEE_CUP, "in a cup of coffee|inside a coffee cup", "在一杯咖啡里|在咖啡杯里"),
    PLACE(BLOCK_WORLD, "in a world made of blocks|in a block world|in a blocky voxel world",
          "在方块世界里|在由方块组成的世界里"),

    ALONG(MEADOW, "across a green meadow|through the grass|over a green field",
          "穿过绿色的草地|在草原上"),
    ALONG(DESERT, "through a desert with pyramids|through the desert|past the pyramids",
          "穿过有金字塔的沙漠|在沙漠里"),
    ALONG(SNOW_VILLAGE, "through a snowy village|through the snow|down a snowy village street",
          "穿过下过雪的村庄|在雪中"),
    ALONG(NEON_STREET,
          "down a wet neon street|down a wet neon Tokyo street|along a neon-lit street|through a "
          "neon city",
          "在霓虹街道上|在湿漉漉的东京霓虹街头|在霓虹城市里"),
    ALONG(SEA, "across the open sea|over the sea|on the ocean", "在海面上|在海洋上"),
    ALONG(BEACH, "along a sandy beach|along the beach|by the sea on a beach", "沿着沙滩|沿着海滩"),
    ALONG(STUDIO, "through a painter's studio|across the studio", "穿过画室|在画家的画室中"),
    ALONG(KITCHEN, "across a kitchen table|over a kitchen table", "在餐桌上|在厨房的桌子上"),
    ALONG(COFFEE_CUP, "across a cup of coffee|around in a coffee cup",
          "在一杯咖啡的表面上|在咖啡杯中"),
    ALONG(BLOCK_WORLD, "through a block world|through a Minecraft-like block world",
          "穿过方块世界|在像素方块的世界里"),

    DETAIL(MEADOW, "with short grass and soft hills far away|where low hills rise in the distance",
           "远处有平缓的山丘|青草一直铺到远处的山丘"),
    DETAIL(DESERT, "with dry sand and pyramids on the horizon|where pyramids rise far away",
           "干燥的沙子一直延伸到天边的金字塔|远处立着几座金字塔"),
    DETAIL(SNOW_VILLAGE,
           "with snow on the ground and mountains far behind|where everything lies under snow",
           "铺满白雪的地面延伸到远处的高山|到处都是白雪"),
    DETAIL(NEON_STREET,
           "where the wet ground mirrors the lights|with bright signs that shine back from the wet "
           "ground",
           "湿润的地面倒映着灯光|明亮的招牌映在潮湿的路面上"),
    DETAIL(SEA, "with gentle waves all around|where the waves reach to the horizon",
           "四周是轻柔的波浪|波浪一直延伸到天边"),
    DETAIL(BEACH, "with smooth sand and the sea behind it|where the sand meets the sea",
           "平整的沙子后面就是大海|沙子与大海在这里相接"),
    DETAIL(STUDIO,
           "with a floor of wooden planks and a pale wall|where the floor is made of wooden planks",
           "木板地面后面是浅色的墙|地面由木板铺成"),
    DETAIL(KITCHEN, "with a top of wooden planks|where the wood of the table fills the foreground",
           "桌面由木板拼成|前景是木质的桌面"),
    DETAIL(COFFEE_CUP,
           "with brown coffee and the white wall of the cup all around|where the coffee fills the "
           "cup like a small sea",
           "四周是白色的杯壁和棕色的咖啡|咖啡像一片小小的海"),
    DETAIL(BLOCK_WORLD,
           "where everything is built of square blocks|with ground made of square blocks",
           "一切都由方方正正的方块搭成|地面由一块块方块铺成"),

    HINT(NEON_STREET,
         "street|city|downtown|urban|road|alley|sidewalk|crosswalk|avenue|highway|town|wet street",
         "街道|街|城市|街上|马路|街头|都市|巷子|公路|道路|路上"),
    HINT(KITCHEN, "table|desk|plate|indoors|room|house interior|on a table|on the table",
         "桌子|桌子上|盘子|房间|室内"),
    HINT(MEADOW, "outside|outdoors|nature|landscape|ground|path|trail|sky",
         "户外|野外|大自然|地上|小路|天空|空中"),

    TIME(DAY, "in bright daylight|by day|during the day", "白天|在明亮的日光下|大白天",
         "day|daytime|daylight|morning|noon|midday|sunshine|sunlight|sunlit|sun|afternoon|in the "
         "sun|sunny day|bright day|broad daylight",
         "日光|阳光|阳光下|早晨|清晨|中午|下午|上午|日间|晴天|大晴天|阳光明媚|太阳"),
    TIME(SUNSET, "at sunset|in the warm light of sunset|at dusk", "日落时分|黄昏时|傍晚",
         "sunset|dusk|golden hour|twilight|sunrise|dawn|evening|sundown|setting sun|in the "
         "evening|golden light|warm light|at sunrise|at dawn",
         "日落|黄昏|夕阳|落日|晚霞|黎明|日出|暮色|夕阳下|金色阳光|拂晓"),
    TIME(NIGHT, "at night|by night|in the dark of the night", "夜里|夜晚|在漆黑的夜里",
         "night|nighttime|midnight|dark|moonlight|moonlit|starry|stars|night "
         "sky|darkness|nightfall|late at night|under the stars|moon",
         "夜|晚上|深夜|午夜|夜色|夜间|月光|星空|黑夜|半夜|月光下|夜空"),
    {LEXICON_TIME, WORLD_TIME_DAY, LEXICON_ANY, {NULL, NULL}, {"sunny", "晴天|阳光明媚"}},

    WEATHER(CLEAR, "the air is clear|the weather is clear|the view is clear",
            "空气清澈|天气晴好|视野清晰",
            "clear|clear sky|clear skies|sunny|cloudless|blue sky|fine weather|clear weather|dry "
            "weather",
            "晴|晴朗|晴天|万里无云|蓝天|阳光明媚|晴空"),
    WEATHER(
        RAIN, "rain is falling|it is raining|raindrops are falling", "正下着雨|雨点落下|天在下雨",
        "heavy "
        "rain|rain|rainy|raining|rains|drizzle|storm|stormy|thunderstorm|shower|downpour|rainstorm|"
        "rainfall|umbrella",
        "雨|下雨|雨天|暴雨|雨水|细雨|小雨|大雨|雷雨|下着雨|暴风雨|雨滴"),
    WEATHER(SNOW, "snow is falling|it is snowing|snowflakes drift down",
            "正下着雪|雪花飘落|天在下雪",
            "snowing|snowfall|snows|snowflakes|snowflake|blizzard|snowstorm|falling snow|snow "
            "falls|heavy snow|snow falling|light snow",
            "雪|下雪|雪花|大雪|飘雪|暴风雪|小雪|落雪|下着雪|飞雪|飘着雪|雪花纷飞"),
    WEATHER(FOG, "fog hangs in the air|it is foggy|thin fog covers everything",
            "空气中有雾|雾气弥漫|笼罩着薄雾",
            "fog|foggy|mist|misty|haze|hazy|smoke|smoky|cloudy|thick fog|morning mist",
            "雾|大雾|薄雾|雾天|雾气|迷雾|浓雾|烟雾|多云"),
    AIR(RAIN, "in the rain|in falling rain", "在雨中|冒着雨"),
    AIR(SNOW, "in falling snow|while snow falls", "在飘落的雪花中|在漫天飞雪中"),
    AIR(FOG, "in the fog|in the mist", "在雾中|在薄雾里"),

    STYLE(PLAIN, "plain 3D animation|simple 3D graphics|a clean 3D render",
          "简洁的三维动画|普通的3D画面|干净的三维渲染",
          "3d|3d animation|3d render|cgi|render|pixar|low poly|cartoon "
          "3d|photorealistic|realistic|photoreal|cinematic|photo realistic|animation|photo|unreal "
          "engine|film look|hyperrealistic",
          "三维|3d|三维动画|写实|真实|电影感|照片级|逼真|动画|实拍|渲染"),
    STYLE(PIXEL_ART, "pixel art|retro pixel art|blocky pixel graphics",
          "像素画|复古像素画|像素风格的画面",
          "pixel|pixelated|pixels|8 bit|16 bit|8bit|16bit|retro game|pixel art style|pixel "
          "style|arcade game",
          "像素|像素风|像素风格|像素艺术|8位|复古游戏"),
    STYLE(INK_WASH, "an ink wash painting|Chinese ink wash|an ink-and-water painting",
          "水墨画|中国水墨画|水墨风格的画面",
          "ink wash|ink|ink painting|ink wash painting|sumi-e|sumi|watercolor|watercolour|chinese "
          "painting|brush painting|ink style|ink wash style|traditional chinese painting",
          "水墨|水墨风|水墨风格|国画|中国画|墨水画|水彩|水彩画"),
    STYLE(BLACK_WHITE, "black-and-white film|a black-and-white picture|monochrome film",
          "黑白电影|黑白画面|黑白影片",
          "black and white|black & white|b&w|monochrome|noir|film noir|grayscale|greyscale|old "
          "film|silent film|vintage film",
          "黑白|黑白片|单色|老电影|黑白照片|默片"),
    STYLE(CLAY, "clay animation|claymation|clay stop motion", "黏土动画|粘土动画|黏土定格动画",
          "clay|stop motion|stopmotion|plasticine|clay style|claymation style|wallace and "
          "gromit|clay figure",
          "黏土|粘土|定格动画|橡皮泥|黏土风格|粘土风格"),

    CAMERA(STATIC, 0,
           "the camera stays still|the camera does not move|the camera is fixed in place|the view "
           "does not move",
           "镜头静止不动|镜头保持不动|镜头固定在原处|机位固定",
           "static|static camera|fixed camera|locked camera|camera still|static shot|fixed "
           "shot|still camera|tripod|locked off|stationary camera|the camera is still|static view",
           "固定镜头|静止镜头|固定机位|镜头不动|镜头固定|镜头静止"),
    CAMERA(PAN, -1,
           "the camera pans to the left|the camera pans left|the camera turns to the left|the view "
           "pans left",
           "镜头向左摇|镜头缓缓向左摇|镜头转向左边|画面向左摇移",
           "pan left|panning left|pans left|pan to the left|panning to the left|pans to the left",
           "左摇|向左摇镜头|向左摇"),
    CAMERA(PAN, 1,
           "the camera pans to the right|the camera pans right|the camera turns to the right|the "
           "view pans right",
           "镜头向右摇|镜头缓缓向右摇|镜头转向右边|画面向右摇移",
           "pan right|panning right|pans right|pan to the right|panning to the right|pans to the "
           "right|camera pans|panning|pan|panning shot",
           "右摇|向右摇镜头|向右摇|摇镜头"),
    CAMERA(TILT, -1, "the camera tilts down|the camera looks further down|the view tilts down",
           "镜头向下摇|镜头慢慢低下来|画面向下倾", "tilt down|tilting down|tilts down|look down",
           "下摇|俯拍"),
    CAMERA(TILT, 1, "the camera tilts up|the camera looks further up|the view tilts up",
           "镜头向上摇|镜头慢慢抬起来|画面向上仰",
           "tilt up|tilting up|tilts up|look up|camera tilts", "上摇|仰拍"),
    CAMERA(DOLLY, -1,
           "the camera moves back|the camera pulls back|the camera rolls away from the scene",
           "镜头向后拉远|镜头慢慢后退|镜头拉开距离",
           "pull back|pulls back|pulling back|dolly out|dollies out|dolly back|moving away|pull "
           "out|camera moves backward|camera moves backwards",
           "拉远|后退镜头|拉镜头|镜头拉远|镜头后退"),
    CAMERA(DOLLY, 1, "the camera moves closer|the camera pushes in|the camera dollies forward",
           "镜头向前推进|镜头慢慢推近|镜头向前靠近",
           "push in|pushes in|pushing in|dolly in|dollies in|dolly|dolly shot|dolly forward|move "
           "closer|camera moves forward|camera moves in|close in|moves closer|approaching camera",
           "推近|推进镜头|推镜头|镜头推近|镜头推进|镜头靠近"),
    CAMERA(TRUCK, -1,
           "the camera slides sideways to the left|the camera trucks left|the camera travels to "
           "the left",
           "镜头向左平移|镜头横着移向左边|镜头向左侧滑动",
           "truck left|trucks left|trucking left|slide left|camera moves left|camera moves to the "
           "left|camera slides left",
           "左移镜头|向左移镜|镜头左移|镜头向左移动"),
    CAMERA(TRUCK, 1,
           "the camera slides sideways to the right|the camera trucks right|the camera travels to "
           "the right",
           "镜头向右平移|镜头横着移向右边|镜头向右侧滑动",
           "truck right|trucks right|trucking right|slide right|camera moves right|camera moves to "
           "the right|camera slides right|trucking shot|sideways camera",
           "右移镜头|向右移镜|镜头右移|镜头向右移动|平移镜头"),
    CAMERA(ORBIT, -1,
           "the camera orbits to the left|the camera circles around to the left|the view swings "
           "around to the left",
           "镜头向左环绕|镜头绕着主体向左转|画面向左绕行",
           "orbit left|orbits left|orbiting left|circles left|rotate left", "向左环绕|左环绕"),
    CAMERA(ORBIT, 1,
           "the camera orbits to the right|the camera circles around to the right|the view swings "
           "around to the right",
           "镜头向右环绕|镜头绕着主体向右转|画面向右绕行",
           "orbit right|orbits right|orbiting right|circles right|rotate "
           "right|orbit|orbits|orbiting|orbit shot|circling|circles around|camera circles|camera "
           "orbits|360|arc shot|rotating camera|around it in a circle|revolving camera",
           "向右环绕|右环绕|环绕镜头|环绕|绕拍|镜头环绕"),
    CAMERA(CRANE, -1, "the camera sinks down|the camera cranes down|the view sinks lower",
           "镜头缓缓下降|镜头降下来|画面逐渐降低",
           "crane down|cranes down|camera lowers|camera descends|descending camera",
           "下降镜头|降镜头|镜头下降"),
    CAMERA(CRANE, 1, "the camera rises up|the camera cranes up|the view rises higher",
           "镜头缓缓升起|镜头升上去|画面逐渐升高",
           "crane up|cranes up|camera rises|crane|crane shot|camera ascends|rising camera|boom up",
           "升起镜头|升镜头|摇臂镜头|镜头上升|镜头升起"),
    CAMERA(ZOOM, -1, "the camera zooms out|the lens zooms out|the picture zooms out",
           "镜头变焦拉开|变焦缩小画面|画面逐渐缩小", "zoom out|zooms out|zooming out",
           "拉焦|缩小|变焦拉远"),
    CAMERA(ZOOM, 1, "the camera zooms in|the lens zooms in|the picture zooms in",
           "镜头变焦放大|变焦放大画面|画面逐渐放大",
           "zoom in|zooms in|zooming in|zoom|zooms|zooming|zoom shot", "变焦|放大|变焦推近"),
    CAMERA(FPV, 0,
           "the camera flies forward like a drone|the camera flies low over the ground|a drone "
           "camera flies forward",
           "镜头像无人机一样向前飞行|镜头低空向前飞行|无人机镜头向前飞",
           "drone|drone shot|fpv|aerial|aerial shot|aerial view|flyover|fly over|flythrough|fly "
           "through|bird's eye view|drone view|drone flight|birds eye view|flying camera|drone "
           "footage|helicopter shot",
           "无人机|航拍|航拍镜头|穿越机|飞越|鸟瞰|俯瞰|无人机航拍|飞行镜头"),
    CAMERA(FOLLOW, 0,
           "the camera follows along|the camera tracks the subject|the camera keeps the subject in "
           "the middle",
           "镜头跟随主体|镜头一路跟拍|镜头始终跟着主体",
           "follow|follows|following|follow cam|follow camera|tracking|tracking shot|tracks|camera "
           "follows|following shot|chase cam|track shot|camera tracks|follow shot|camera following",
           "跟拍|跟随|跟踪镜头|跟镜头|跟随镜头|追踪镜头|镜头跟随"),

    CAMERA(PLAYER, 0,
           "the view is first person|we look through the eyes of a player|the view is that of a "
           "player in first person|the "
           "camera is the player's own view",
           "画面是第一人称|镜头是玩家的第一人称视角|画面就是玩家眼中所见|我们透过玩家的眼睛观看",
           "first person view|first person shot|in first person|pov|player's view|player "
           "view|point of view|through the eyes of the player|first person game|player's eyes",
           "第一人称|第一视角|玩家视角|主观视角|第一人称视角|玩家的视角"),

    {LEXICON_LOOP,
     1,
     LEXICON_ANY,
     {"the clip is a seamless loop|the end joins the beginning in a seamless loop",
      "这段视频首尾无缝循环|画面无缝循环播放"},
     {"loop|loops|looping|seamless loop|perfect loop|seamless|cinemagraph|looped|endless loop",
      "循环|无缝循环|无限循环|首尾相接"}},
    {LEXICON_LAPSE,
     1,
     LEXICON_ANY,
     {"time-lapse|time-lapse video|time-lapse shot", "延时摄影|延时|延时视频|延时镜头"},
     {"timelapse|time lapse clip|timelapse video|timelapse shot|hyperlapse|sped up|fast forward",
      "快进|加速播放|缩时摄影"}},
    {LEXICON_WALL,
     1,
     LEXICON_ANY,
     {"a brick wall stands in the scene|a wall of bricks stands there",
      "场景中有一堵砖墙|那里立着一堵砖墙"},
     {"wall|brick wall|fence|a wall|the wall|screen wall", "墙|砖墙|墙壁|围墙|一堵墙"}},
    {LEXICON_EVENT,
     WORLD_EVENT_DIG,
     LEXICON_ANY,
     {"a block is dug out|one block is dug out of the ground|a block is taken away",
      "一个方块被挖走|地上的一个方块被挖掉|一个方块被拿走"},
     {"dig|digs|digging|mines|mining|dug|dig a hole|digs a hole|digs a block|breaks a block|dig "
      "out",
      "挖|挖掘|挖矿|挖方块|挖坑|挖掉|挖走"}},
    {LEXICON_EVENT,
     WORLD_EVENT_PLACE,
     LEXICON_ANY,
     {"a block is put down|a new block is placed|a block is set on the ground",
      "一个方块被放下|一个新方块被放上去|一个方块被摆在地上"},
     {"build|builds|building blocks|places|place|placing|places a block|builds a house|puts a "
      "block|stacks|stack|stacking|builds a tower|constructing",
      "建造|搭建|放置|放方块|盖房子|搭|放下方块|放一个方块"}},
    PLAY(FORWARD, "the player walks forward|the player goes straight ahead|the player moves ahead",
         "玩家向前走|玩家往前走去|玩家笔直前行",
         "player walks forward|walk forward|walking forward|player moves forward|move forward|go "
         "forward|go straight|player walks|player goes forward|walks straight ahead",
         "向前走|往前走|玩家前进|玩家走|直走"),
    PLAY(BACK, "the player walks backward|the player steps back|the player moves back",
         "玩家向后退|玩家往后退去|玩家倒退几步",
         "player steps back|walk backward|walk backwards|step back|go back|move back|player walks "
         "backwards|walking backwards",
         "向后退|往后退|后退|玩家后退"),
    PLAY(LEFT, "the player turns left|the player turns to the left|the player looks to the left",
         "玩家向左转|玩家转向左边|玩家朝左看去",
         "player turns left|turn left|turning left|turns left|player turns to the left|look "
         "left|looks left",
         "向左转|左转|往左转"),
    PLAY(RIGHT,
         "the player turns right|the player turns to the right|the player looks to the right",
         "玩家向右转|玩家转向右边|玩家朝右看去",
         "player turns right|turn right|turning right|turns right|player turns to the right|look "
         "right|looks right",
         "向右转|右转|往右转"),
    PLAY(DIG, "the player digs out a block|the player breaks a block|the player mines a block",
         "玩家挖掉一个方块|玩家挖走一个方块|玩家敲碎一个方块",
         "player digs|player digs a block|player mines|player breaks a block|player digs a "
         "hole|the player digs|the player mines|the player digs a hole",
         "玩家挖方块|玩家挖|玩家挖矿|玩家挖坑"),
    PLAY(PLACE,
         "the player puts down a block|the player places a block|the player sets a block on the "
         "ground",
         "玩家放下一个方块|玩家摆上一个方块|玩家在地上放一个方块",
         "player places a block|player puts down a block|player builds|the player builds|player "
         "places|player puts a block|the player puts a block",
         "玩家放方块|玩家放置方块|玩家搭方块|玩家建造"),
    PLAY(JUMP, "the player jumps|the player jumps up once|the player hops on the spot",
         "玩家跳了一下|玩家原地跳起|玩家向上一跳", "player jumps", "玩家跳|玩家跳跃"),

    {LEXICON_VIEWS,
     2,
     LEXICON_ANY,
     {"split screen|two cameras show the same scene|the picture is split in two views of the "
      "same scene|split screen with two views",
      "双视角分屏|两个镜头同时拍摄同一场景|画面分成同一场景的两个视角|两个视角的分屏画面"},
     {"multi view|multiview|multi-camera|two views|two angles|two cameras|two "
      "perspectives|different angles|several angles|two views of the same scene|several views",
      "分屏|多视角|两个视角|双视角|多机位|不同角度|多个视角"}},
    {LEXICON_VIEWS,
     4,
     LEXICON_ANY,
     {"four way split screen|four cameras show the same scene|the picture is split in four views "
      "of the same scene|split screen with four views",
      "四视角分屏|四个镜头同时拍摄同一场景|画面分成同一场景的四个视角|四个视角的分屏画面"},
     {"four views|four angles|four cameras|quad view", "四个视角|四视角|四分屏"}},
    {LEXICON_EMPTY,
     1,
     LEXICON_ANY,
     {"nothing else is to be seen|there is nobody and nothing in front",
      "画面里没有别的东西|眼前空无一物"},
     {"empty|deserted|no one|nobody|nothing", "空无一人|空荡荡|没有人|空旷"}},
};

const struct lexicon_part lexicon_place_part = {rows, sizeof(rows) / sizeof(rows[0])};
